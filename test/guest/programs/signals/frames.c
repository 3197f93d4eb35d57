/*
 * Claim: a signal handler may nest, use its own stack, and change every register of what it returns to
 * Builds: 64 32
 *
 * What: handlers on an alternate stack, handlers interrupted by handlers, registers and x87, SSE state altered through the
 *   signal frame, a stack overflow that is survived, system calls restarted or ended with EINTR.
 * Why: the frame is written with FXSAVE and read back with FXRSTOR and IRET or SYSRET; a wrong bit shows only here.
 * How it can tell: prints what the code after the handler sees.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static char alternate[65536];
/* Volatile, as the compiler takes raise() for a function that calls nothing back. */
static volatile int depth, depth_max, on_alternate, ticks;
static int pipe_ends[2];
static sigjmp_buf back;

static void set(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  sigaction(signal, &action, NULL);
}

static void nest(int signal, siginfo_t *info, void *context) {
  (void)info; (void)context;
  char here;
  on_alternate += &here >= alternate && &here < alternate + sizeof alternate;
  if (++depth > depth_max) depth_max = depth;
  if (signal < SIGRTMIN + 5) raise(signal + 1);
  depth--;
}

static void alter(int signal, siginfo_t *info, void *context) {
  (void)signal; (void)info;
  mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
#ifdef __x86_64__
  for (int i = REG_R8; i <= REG_R15; i++) m->gregs[i] = 0x1111111111111111ll * (i + 1);
  m->gregs[REG_RAX] = 0xaaaa; m->gregs[REG_RCX] = 0xcccc; m->gregs[REG_RDX] = 0xdddd;
  m->gregs[REG_RSI] = 0x5151; m->gregs[REG_RDI] = 0xd1d1;
  m->gregs[REG_EFL] |= 0x8d5; /* all arithmetic flags */
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 4; j++) m->fpregs->_xmm[i].element[j] = i * 16 + j;
  m->fpregs->mxcsr = 0x5fa0; /* round down, and the precision flag */
  m->fpregs->cwd = 0x0f7f;   /* round to zero */
  m->gregs[REG_RIP] += 2;    /* over ud2 */
#else
  m->gregs[REG_EAX] = 0xaaaa; m->gregs[REG_ECX] = 0xcccc; m->gregs[REG_EDX] = 0xdddd;
  m->gregs[REG_ESI] = 0x5151; m->gregs[REG_EDI] = 0xd1d1;
  m->gregs[REG_EFL] |= 0x8d5;
  m->gregs[REG_EIP] += 2;
#endif
}

static void report_altered(void) {
#ifdef __x86_64__
  uint64_t r[14]; uint32_t mxcsr; uint16_t control; unsigned char xmm[256];
  __asm__ volatile(
      "ud2\n\t"
      "mov %%r8, 0(%[r])\n\tmov %%r9, 8(%[r])\n\tmov %%r10, 16(%[r])\n\tmov %%r11, 24(%[r])\n\tmov %%r12, 32(%[r])\n\t"
      "mov %%r13, 40(%[r])\n\tmov %%r14, 48(%[r])\n\tmov %%r15, 56(%[r])\n\tmov %%rax, 64(%[r])\n\tmov %%rcx, 72(%[r])\n\t"
      "mov %%rdx, 80(%[r])\n\tmov %%rsi, 88(%[r])\n\tmov %%rdi, 96(%[r])\n\tpushf\n\tpopq 104(%[r])\n\t"
      "movups %%xmm0, 112(%[r])\n\t"
      : : [r] "b"(r) : "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rax", "rcx", "rdx", "rsi", "rdi", "memory", "cc");
  (void)xmm; (void)mxcsr; (void)control;
  for (int i = 0; i < 13; i++) printf(" %llx", (unsigned long long)r[i]);
  printf(" flags %llx\n", (unsigned long long)r[13] & 0x8d5);
#else
  uint32_t r[6];
  __asm__ volatile(
      "ud2\n\tmov %%eax, 0(%[r])\n\tmov %%ecx, 4(%[r])\n\tmov %%edx, 8(%[r])\n\tmov %%esi, 12(%[r])\n\tmov %%edi, 16(%[r])\n\tpushf\n\tpopl 20(%[r])"
      : : [r] "b"(r) : "eax", "ecx", "edx", "esi", "edi", "memory", "cc");
  for (int i = 0; i < 5; i++) printf(" %x", r[i]);
  printf(" flags %x\n", r[5] & 0x8d5);
#endif
}

#ifdef __x86_64__
static void report_altered_vectors(void) {
  static unsigned char xmm[256];
  uint32_t mxcsr, plain = 0x1f80; uint16_t control;
  __asm__ volatile(
      "ud2\n\tmovups %%xmm0, (%0)\n\tmovups %%xmm7, 16(%0)\n\tmovups %%xmm8, 32(%0)\n\tmovups %%xmm15, 48(%0)\n\t"
      "stmxcsr %1\n\tfnstcw %2\n\tldmxcsr %3\n\tfninit"
      : : "b"(xmm), "m"(mxcsr), "m"(control), "m"(plain)
      : "memory", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm7", "xmm8", "xmm15");
  for (int i = 0; i < 64; i++) printf("%02x", xmm[i]);
  printf(" mxcsr %x control %x\n", mxcsr, control);
}
#endif

static void tick(int signal, siginfo_t *info, void *context) {
  (void)signal; (void)info; (void)context;
  ticks++;
  write(pipe_ends[1], "x", 1);
}

/* The alarm has to come while read waits. Where the host had other work for so long that it came before, there is a byte to read: then again, with more time. */
static void read_with_alarm(const char *name, int flags) {
  char byte = '-';
  ssize_t length;
  int error;
  set(SIGALRM, tick, flags);
  for (long us = 20000; us < 2000000; us *= 4) {
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {us / 1000000, us % 1000000}}, NULL);
    errno = 0;
    length = read(pipe_ends[0], &byte, 1);
    error = errno;
    if (length != 1) read(pipe_ends[0], &byte, 1);
    if (length != 1 || flags != 0) break;
  }
  printf("read %s: %zd %s\n", name, length, error == EINTR ? "EINTR" : error == 0 ? "-" : "other");
}

static void overflowed(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("stack overflow: signal %d code %d\n", signal, info->si_code);
  siglongjmp(back, 1);
}

static int recurse(volatile int *n) {
  volatile char room[4096];
  room[0] = (char)*n;
  int here = *n + 1;
  return recurse(&here) + room[0];
}

static void queued(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("queued %d code %d value %d\n", signal - SIGRTMIN, info->si_code, info->si_value.sival_int);
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  for (int i = 0; i < 6; i++) set(SIGRTMIN + i, nest, SA_ONSTACK);
  raise(SIGRTMIN);
  printf("nested %d, on the alternate stack %d\n", depth_max, on_alternate);

  set(SIGILL, alter, SA_ONSTACK);
  report_altered();
#ifdef __x86_64__
  report_altered_vectors();
#endif

  pipe(pipe_ends);
  read_with_alarm("restarted", SA_RESTART);
  read_with_alarm("interrupted", 0);
  struct timespec rest, wanted = {0, 500000000};
  set(SIGALRM, tick, 0);
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 20000}}, NULL);
  int result = nanosleep(&wanted, &rest);
  printf("nanosleep: %d, something left %d\n", result, rest.tv_nsec > 0);

  set(SIGSEGV, overflowed, SA_ONSTACK);
  setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, RLIM_INFINITY});
  int zero = 0;
  if (sigsetjmp(back, 1) == 0) recurse(&zero);

  sigset_t blocked;
  sigemptyset(&blocked);
  for (int i = 0; i < 4; i++) { set(SIGRTMIN + i, queued, 0); sigaddset(&blocked, SIGRTMIN + i); }
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  for (int i = 3; i >= 0; i--) { sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = i * 10}); sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = i * 10 + 1}); }
  sigset_t pending;
  sigpending(&pending);
  printf("pending %d %d\n", sigismember(&pending, SIGRTMIN), sigismember(&pending, SIGRTMIN + 7));
  sigprocmask(SIG_UNBLOCK, &blocked, NULL);

  /* A timer that interrupts arithmetic at arbitrary instructions must leave no trace in it. */
  ticks = 0;
  set(SIGALRM, tick, SA_RESTART);
  setitimer(ITIMER_REAL, &(struct itimerval){.it_interval = {0, 1000}, .it_value = {0, 1000}}, NULL);
  uint32_t hash = 1, first_hash = 0;
  double sum = 0, first_sum = 0;
  long rounds = 0;
  int wrong = 0;
  while (ticks < 100) {
    hash = 1; sum = 0;
    for (int i = 1; i < 1000; i++) { hash = hash * 31 + i; sum += 1.0 / i; }
    rounds++;
    if (rounds == 1) { first_hash = hash; first_sum = sum; }
    wrong += hash != first_hash || sum != first_sum;
  }
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
  printf("interrupted arithmetic: hash %x sum %a wrong %d\n", hash, sum, wrong);
  return 0;
}
