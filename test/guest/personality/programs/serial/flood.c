/*
 * Claim: a program that sends without a look at the port's state loses nothing
 * Compare: no, the host has no port of ours
 *
 * What: COUNT bytes to the first serial port by OUT, and as many by REP OUTS, eight of which leave the guest at once; no look at LSR.
 * Why: a kernel that prints looks, but only for 10 ms a byte; then it sends all the same.
 * How it can tell: what arrives is what was sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

enum { PORT = 0x3f8 };

int main(int argc, char **argv) {
  const unsigned long count = strtoul(argv[1], NULL, 10);
  char *bytes = malloc(count);
  if (ioperm(PORT, 8, 1) != 0) {
    perror("ioperm");
    return 1;
  }
  for (unsigned long i = 0; i < count; i++) bytes[i] = 'a' + i % 26;
  for (unsigned long i = 0; i < count; i++) outb(bytes[i], PORT);
  outsb(PORT, bytes, count);
  puts("sent");
  return 0;
}
