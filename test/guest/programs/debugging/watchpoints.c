/*
 * Claim: hardware breakpoints and watchpoints stop where they stop on a real processor
 * Host: watchpoints
 *
 * What: breakpoints on execution, writes and accesses of 1 to 8 bytes through the debug registers, as gdb sets them.
 * Why: a debugger in the guest needs them, and they are state that the processor checks at every instruction.
 * How it can tell: prints the offsets of the stops, DR6 and the counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t watched[4];
static volatile int touched;
__attribute__((noinline)) static void target(void) { touched++; __asm__ volatile("" : : : "memory"); }
__attribute__((noinline)) static void work(void) {
  watched[0] = 1;
  ((volatile uint8_t *)watched)[11] = 2;
  touched += (int)watched[2];
  ((volatile uint32_t *)watched)[3] = 5;
  target();
  *(volatile uint64_t *)((char *)watched + 5) = 7; /* reaches over the border of two */
  memcpy((void *)&watched[3], "12345678", 8);
  target();
}

static long debug_register(int n) { return offsetof(struct user, u_debugreg) + n * sizeof(long); }

static void watch(const char *name, const void *address, unsigned type, unsigned length) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); work(); _exit(0); }
  int status;
  waitpid(child, &status, 0);
  errno = 0;
  ptrace(PTRACE_POKEUSER, child, debug_register(0), address);
  long refused = ptrace(PTRACE_POKEUSER, child, debug_register(7), (long)(1u | type << 16 | length << 18));
  int hits = 0;
  printf("%s:%s", name, refused ? " refused" : "");
  for (;;) {
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status) || ++hits > 20) break;
    long dr6 = ptrace(PTRACE_PEEKUSER, child, debug_register(6), 0);
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, child, 0, &registers);
    siginfo_t info;
    ptrace(PTRACE_GETSIGINFO, child, 0, &info);
    printf(" %+ld (signal %d code %d dr6 %lx)", (long)(registers.rip - (uintptr_t)work), WSTOPSIG(status), info.si_code, dr6 & 0xe00f);
    ptrace(PTRACE_POKEUSER, child, debug_register(6), 0);
  }
  printf(" ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(void) {
  watch("write 8 bytes", (void *)&watched[0], 1, 2);
  watch("write 1 byte", (char *)watched + 11, 1, 0);
  watch("write 4 bytes", (char *)watched + 12, 1, 3);
  watch("access 8 bytes", (void *)&watched[2], 3, 2);
  watch("access 2 bytes", (char *)watched + 8, 3, 1);
  watch("execute", (void *)target, 0, 0);
  watch("nothing there", (char *)watched + 20, 1, 3);
  return 0;
}
