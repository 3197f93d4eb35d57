/*
 * Claim: single steps and the trap flag stop where they stop on a real processor
 *
 * What: ptrace steps over plain instructions, calls, REP strings, system calls, POP SS, PUSHF; a program that sets TF by POPF itself.
 * Why: a debugger in the guest needs them, and they are state that the processor checks at every instruction.
 * How it can tell: prints the offsets of the stops and the counts.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static int traps;
static unsigned char *code;
static long offsets[256];
static int codes[8];

static void on_trap(int signal, siginfo_t *info, void *context) {
  (void)signal;
  long rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] - (long)code;
  if (traps < 256) offsets[traps] = rip;
  traps++;
  codes[info->si_code & 7]++;
}

/* Sets TF, runs `bytes`, clears TF. */
static void self_step(const char *name, const unsigned char *bytes, int length) {
  static const unsigned char before[] = {0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d}, after[] = {0x9c, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x9d, 0xc3};
  memcpy(code, before, sizeof before);
  memcpy(code + sizeof before, bytes, length);
  memcpy(code + sizeof before + length, after, sizeof after);
  traps = 0;
  unsigned char room[64] = {0};
  ((void (*)(void *))code)(room);
  printf("%s: %d traps at", name, traps);
  for (int i = 0; i < traps && i < 40; i++) printf(" %ld", offsets[i]);
  printf("\n");
}
#define SELF_STEP(name, ...) self_step(name, (unsigned char[]){__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}))

static void step_child(void) {
  fflush(stdout);
  /* nop; push; pushf; pop; pop; call +0; pop; mov ecx,3; rep stosb; cpuid-free; syscall getppid; mov eax,ds; mov ds,eax; loop; int3; ret */
  static const unsigned char body[] = {0x90, 0x50, 0x9c, 0x58, 0x58, 0xe8, 0, 0, 0, 0, 0x58, 0xb9, 3, 0, 0, 0, 0xf3, 0xaa, 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0x8c, 0xd0, 0x8e, 0xd0, 0x90, 0x90,
    0xb9, 4, 0, 0, 0, 0xe2, 0xfe, 0x66, 0x0f, 0x1f, 0x44, 0, 0, 0xeb, 0, 0xf3, 0x90, 0xdb, 0xe3, 0x0f, 0x57, 0xc0, 0xc3};
  memcpy(code, body, sizeof body);
  pid_t child = fork();
  if (child == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0); char room[64]; raise(SIGSTOP); ((void (*)(void *))code)(room); _exit(0); }
  int status;
  waitpid(child, &status, 0);
  printf("stepped:");
  int inside = 0;
  unsigned long pushed = 0;
  for (int i = 0; i < 5000; i++) {
    ptrace(PTRACE_SINGLESTEP, child, 0, 0);
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) break;
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, child, 0, &registers);
    long at = (long)registers.rip - (long)code;
    if (at >= 0 && at < 4096) { printf(" %ld", at); inside = 1; if (at == 4) pushed = registers.rax; }
    else if (inside) { printf(" left"); break; }
  }
  printf(", pushed flags hide TF %d\n", (pushed & 0x100) == 0);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
}

int main(void) {
  code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  SELF_STEP("nops", 0x90, 0x90, 0x90);
  SELF_STEP("call and return", 0xe8, 2, 0, 0, 0, 0xeb, 1, 0xc3);
  SELF_STEP("rep stosb", 0xb9, 3, 0, 0, 0, 0xf3, 0xaa);
  SELF_STEP("rep movsb of nothing", 0x31, 0xc9, 0xf3, 0xa4);
  SELF_STEP("loop", 0xb9, 3, 0, 0, 0, 0xe2, 0xfe);
  SELF_STEP("mov ss hides one", 0x8c, 0xd0, 0x8e, 0xd0, 0x90, 0x90);
  SELF_STEP("int3", 0x90, 0xcc, 0x90);
  SELF_STEP("getppid", 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0x90);
  SELF_STEP("sse and x87", 0x0f, 0x57, 0xc0, 0xdb, 0xe3, 0xd9, 0xe8, 0xdd, 0xd8);
  SELF_STEP("conditional jumps", 0x31, 0xc0, 0x74, 0, 0x75, 5, 0x90);
  SELF_STEP("locked", 0xf0, 0xff, 0x07, 0xf0, 0x0f, 0xc1, 0x07);
  printf("codes: brkpt %d trace %d, kernel %d\n", codes[TRAP_BRKPT & 7], codes[TRAP_TRACE & 7], codes[SI_KERNEL & 7]);
  step_child();
  return 0;
}
