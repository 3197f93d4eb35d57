/*
 * Claim: INT1 raises a trap: its signal handler finds rip behind the instruction
 * Compare: no (under some hypervisors, on AMD's processors, the host leaves rip in front of it); the program says itself what is wrong
 *
 * What: runs INT1 (F1) between two NOPs, with a handler that goes on where it was.
 * Why: a handler that found rip in front would be called for ever.
 * How it can tell: signal, si_code, trap number and error code, where rip stood, and how often the handler came (Intel SDM vol 2, INT1).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static char *code;
static int calls, number, si_code;
static long long trap, error, rip;

static void on_trap(int signal, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  number = signal;
  si_code = info->si_code;
  trap = registers[REG_TRAPNO];
  error = registers[REG_ERR];
  rip = registers[REG_RIP] - (long)code;
  if (++calls > 1) registers[REG_RIP] = (long)code + 2;
}

int main(void) {
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(code, "\x90\xf1\x90\xc3", 4);
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  ((void (*)(void))code)();
  printf("signal %d code %d trap %lld error %lld rip +%lld, %d time(s)\n", number, si_code, trap, error, rip, calls);
  return !(number == SIGTRAP && si_code == TRAP_BRKPT && trap == 1 && error == 0 && rip == 2 && calls == 1);
}
