/*
 * Claim: code that is written, changed, moved or shared while it runs is executed as it stands
 * Builds: 64 32
 *
 * What: code pages made writable, executable and writable again; stores into the next instruction, into a loop that runs, into the same
 *   trace's earlier part; code across a page border of which one side changes; a new page mapped where code was; code changed through another
 *   mapping, by another process, by read(), by ptrace.
 * Why: decoded instructions are kept per code page; every way to change the page must drop them.
 * How it can tell: each function returns the value last written into it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };
typedef int (*function)(void);
/* mov eax, value; ret */
static void write_function(unsigned char *at, int value) { at[0] = 0xb8; memcpy(at + 1, &value, 4); at[5] = 0xc3; }
static int call(unsigned char *at) { return ((function)(uintptr_t)at)(); }
static unsigned char *map(int pages, int protection) { return mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  int wrong = 0;
  unsigned char *page = map(2, PROT_READ | PROT_WRITE);
  for (int i = 0; i < 300; i++) {
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    write_function(page + i % 20, i);
    mprotect(page, PAGE, PROT_READ | PROT_EXEC);
    wrong += call(page + i % 20) != i;
  }
  printf("toggled %d\n", wrong);

  mprotect(page, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  for (int i = 0; i < 1000; i++) { write_function(page, i); wrong += call(page) != i; if (i % 3 == 0) { page[1] ^= 1; wrong += call(page) != (i ^ 1); } }
  printf("rewritten %d\n", wrong);

  for (int i = 0; i < 200; i++) { /* across the border: the constant lies on both pages */
    write_function(page + PAGE - 3, i * 0x01010101);
    wrong += call(page + PAGE - 3) != i * 0x01010101;
    page[PAGE + 1] = 0x7f;
    wrong += call(page + PAGE - 3) != (int)((i * 0x01010101u & 0x00ffffff) | 0x7f000000);
  }
  printf("across pages %d\n", wrong);

  /* Code that changes the immediate of its own next instruction: mov byte [next+1], cl; mov eax, 0; ret */
#ifdef __x86_64__
  static const unsigned char own[] = {0x89, 0xf9, 0x88, 0x0d, 0x01, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xc3};
  memcpy(page, own, sizeof own);
  for (int i = 0; i < 256; i++) wrong += ((int (*)(int))(uintptr_t)page)(i) != i;
  /* A loop that counts how often it ran before it patched its own exit: add eax,1; inc [count of the immediate]; cmp eax, imm; jb */
  static const unsigned char loop[] = {0x31, 0xc0, 0xff, 0xc0, 0x3d, 10, 0, 0, 0, 0x75, 0x07, 0x80, 0x05, 0xf3, 0xff, 0xff, 0xff, 5, 0x3d, 50, 0, 0, 0, 0x75, 0xe9, 0xc3};
  memcpy(page, loop, sizeof loop);
  int rounds = call(page);
  printf("own code %d, loop %d, its immediate %d\n", wrong, rounds, page[5]);
  /* A rep movsb whose target is the instruction right behind it. */
  static const unsigned char copy[] = {0x48, 0x89, 0xfe, 0x48, 0x8d, 0x3d, 0x07, 0, 0, 0, 0xb9, 6, 0, 0, 0, 0xf3, 0xa4, 0xb8, 1, 0, 0, 0, 0xc3};
  memcpy(page, copy, sizeof copy);
  unsigned char body[6];
  for (int i = 0; i < 50; i++) {
    write_function(body, i + 1000);
    int got = ((int (*)(void *))(uintptr_t)page)(body);
    wrong += got != i + 1000;
  }
  printf("copied over itself %d\n", wrong);
#endif

  for (int i = 0; i < 100; i++) { /* another page under the same address */
    unsigned char *again = mmap(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    write_function(again, i + 7);
    wrong += call(page) != i + 7;
  }
  unsigned char *other = map(1, PROT_READ | PROT_WRITE | PROT_EXEC);
  for (int i = 0; i < 50; i++) { /* two pages of code that change places */
    write_function(page, 1); write_function(other, 2);
    wrong += call(page) != 1 || call(other) != 2;
    unsigned char *aside = mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other + 0x100000);
    mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page);
    mremap(aside, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
    wrong += call(page) != 2 || call(other) != 1;
  }
  printf("remapped %d\n", wrong);

  FILE *file = tmpfile();
  ftruncate(fileno(file), PAGE);
  unsigned char *writable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
  unsigned char *executable = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fileno(file), 0);
  for (int i = 0; i < 300; i++) { write_function(writable, i); wrong += call(executable) != i; }
  unsigned char written[6];
  for (int i = 0; i < 100; i++) { write_function(written, -i); pwrite(fileno(file), written, 6, 64); wrong += call(executable + 64) != -i; }
  printf("through another mapping %d\n", wrong);

  int to[2], from[2];
  pipe(to); pipe(from);
  pid_t child = fork();
  if (child == 0) { close(to[1]); int value; while (read(to[0], &value, sizeof value) == sizeof value) { value = call(executable); write(from[1], &value, sizeof value); } _exit(0); }
  close(to[0]);
  for (int i = 0; i < 200; i++) { int value = i; write_function(writable, i * 3); write(to[1], &value, sizeof value); read(from[0], &value, sizeof value); wrong += value != i * 3 || call(executable) != i * 3; }
  close(to[1]);
  wait(NULL);
  printf("shared by processes %d\n", wrong);

  /* After fork one side changes private code: the other one's stays. */
  write_function(page, 100);
  call(page);
  for (int i = 0; i < 20; i++) {
    if (fork() == 0) { int bad = call(page) != 100; write_function(page, 200 + i); bad |= call(page) != 200 + i; _exit(bad); }
    wrong += call(page) != 100;
    int status;
    wait(&status);
    wrong += status != 0 || call(page) != 100;
  }
  printf("copied on write %d\n", wrong);

  child = fork();
  if (child == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0); for (;;) { raise(SIGSTOP); int value = call(page); raise(SIGSTOP); if (value < 0) _exit(0); *(volatile int *)(page + 1024) = value; } }
  int status;
  for (int i = 0; i < 20; i++) {
    waitpid(child, &status, 0);
    unsigned char code[8] = {0};
    int value = i == 19 ? -1 : 500 + i;
    write_function(code, value);
    for (unsigned at = 0; at < 8; at += sizeof(long)) { long word; memcpy(&word, code + at, sizeof word); ptrace(PTRACE_POKETEXT, child, page + at, (void *)word); }
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    ptrace(PTRACE_CONT, child, 0, 0);
    if (i == 19) break;
  }
  waitpid(child, &status, 0);
  printf("by ptrace %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return wrong != 0;
}
