/*
 * Claim: a fault in user code reaches its signal handler with the signal, code, address and error code of a real processor
 *
 * What: makes every fault that a user program can make: page faults of each kind, non-canonical and privileged accesses,
 *   integer and floating-point errors, undefined and breakpoint instructions, a read behind the end of a mapped file.
 * Why: handlers of language runtimes decide by siginfo and by the trap number and error code in the signal frame.
 * How it can tell: prints signal, si_code, si_addr, trap number and error code, and where rip stood. Mappings have fixed addresses.
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define BASE ((char *)0x10000000)
static sigjmp_buf back;
static char *code;

static void on_fault(int signal, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  long rip = registers[REG_RIP] - (long)code;
  printf("signal %d code %d trap %lld error %#llx", signal, info->si_code, registers[REG_TRAPNO], registers[REG_ERR]);
  if (signal == SIGSEGV || signal == SIGBUS) printf(" address %p", info->si_addr);
  if (rip >= 0 && rip < 4096) printf(" rip +%ld", rip);
  if (rip >= 0 && rip < 4096 && (signal == SIGILL || signal == SIGFPE)) printf(" address +%ld", (long)((char *)info->si_addr - code));
  if (signal == SIGSEGV && registers[REG_TRAPNO] == 14) printf(" cr2 %#llx", registers[REG_CR2]);
  printf("\n");
  siglongjmp(back, 1);
}

/* Runs machine code at a fixed address: rdi = address to use, rsi = another value. */
static void run(const char *name, const char *bytes, int length, void *rdi, long rsi) {
  memset(code, 0xcc, 64);
  memcpy(code, bytes, length);
  code[length] = (char)0xc3;
  printf("%s: ", name);
  if (sigsetjmp(back, 1) == 0) {
    long result = ((long (*)(void *, long))code)(rdi, rsi);
    (void)result;
    printf("no fault\n");
  }
}
#define RUN(name, bytes, rdi, rsi) run(name, bytes, sizeof bytes - 1, rdi, rsi)

static void unmask_sse(unsigned mask) {
  unsigned mxcsr = 0x1f80 & ~(mask << 7);
  __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void unmask_x87(unsigned mask) {
  unsigned short control = 0x37f & ~mask;
  __asm__ volatile("fnclex; fldcw %0" : : "m"(control));
}

static volatile double zero = 0.0, one = 1.0, big = 1e308, tiny = 1e-308, sink;
static void divide_by_zero(void) { sink = one / zero; }
static void overflow(void) { sink = big * big; }
static void underflow(void) { sink = tiny * tiny; }
static void inexact(void) { sink = one / (one + one + one); }
static void invalid(void) { sink = zero / zero; }
static void denormal(void) { volatile double d = 4e-310; sink = d + one; }
static void x87(const char *what) {
  if (*what == 'z') __asm__ volatile("fldz; fld1; fdivp; fwait; fstp %%st(0)" : : : "memory");
  if (*what == 'i') __asm__ volatile("fld1; fchs; fsqrt; fwait; fstp %%st(0)" : : : "memory");
  if (*what == 's') __asm__ volatile("fninit; fnclex; fldcw %0; fstp %%st(0); fwait" : : "m"((unsigned short){0x37e}) : "memory");
  if (*what == 'o') { long double x = 1e4000L; __asm__ volatile("fldt %0; fmul %%st(0),%%st(0); fwait; fstpl %1; fwait" : : "m"(x), "m"(sink) : "memory"); }
  if (*what == 'p') __asm__ volatile("fld1; fldpi; fdivrp; fwait; fstp %%st(0)" : : : "memory");
}

static void try_sse(const char *name, unsigned mask, void (*function)(void)) {
  printf("sse %s: ", name);
  if (sigsetjmp(back, 1) == 0) { unmask_sse(mask); function(); printf("no fault\n"); }
  fesetenv(FE_DFL_ENV);
}
static void try_x87(const char *name, unsigned mask, const char *what) {
  printf("x87 %s: ", name);
  if (sigsetjmp(back, 1) == 0) { unmask_x87(mask); x87(what); printf("no fault\n"); }
  fesetenv(FE_DFL_ENV);
}

int main(void) {
  static char stack[65536];
  sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
  int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(signals[i], &action, NULL);
  }
  setvbuf(stdout, NULL, _IONBF, 0);
  code = mmap((void *)0x20000000, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  char *page = mmap(BASE, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  memset(page, 0x90, 4 * 4096);
  mprotect(page + 4096, 4096, PROT_READ);
  mprotect(page + 2 * 4096, 4096, PROT_NONE);
  munmap(page + 3 * 4096, 4096);

  RUN("read unmapped", "\x48\x8b\x07", page + 3 * 4096 + 8, 0);
  RUN("write unmapped", "\x48\x89\x37", page + 3 * 4096 + 8, 0);
  RUN("write read-only", "\x48\x89\x37", page + 4096 + 16, 0);
  RUN("modify read-only", "\x48\x01\x37", page + 4096 + 16, 0);
  RUN("locked modify read-only", "\xf0\x48\x01\x37", page + 4096 + 16, 0);
  RUN("failing cmpxchg read-only", "\x48\x31\xc0\xf0\x48\x0f\xb1\x37", page + 4096 + 16, 0);
  RUN("read no access", "\x48\x8b\x07", page + 2 * 4096 + 24, 0);
  RUN("read across into no access", "\x48\x8b\x07", page + 2 * 4096 - 4, 0);
  RUN("write across into read-only", "\x48\x89\x37", page + 4096 - 4, 0);
  RUN("read null", "\x48\x8b\x07", (void *)8, 0);
  RUN("read kernel", "\x48\x8b\x07", (void *)0xffffffff81000000, 0);
  RUN("write kernel", "\x48\x89\x37", (void *)0xffffffff81000000, 0);
  RUN("read non-canonical", "\x48\x8b\x07", (void *)0x8000000000000000, 0);
  RUN("write non-canonical", "\x48\x89\x37", (void *)0x1234567800000000, 0);
  RUN("stack access non-canonical", "\x48\x87\xfc\x58\x48\x87\xfc", (void *)0x1234567800000000, 0);
  RUN("execute no-execute", "\xff\xe7", page + 8, 0);
  RUN("execute unmapped", "\xff\xe7", page + 3 * 4096 + 8, 0);
  RUN("jump non-canonical", "\xff\xe7", (void *)0x1234567800000000, 0);
  RUN("string write across", "\x48\xc7\xc1\x64\x00\x00\x00\x31\xc0\xf3\xaa", page + 2 * 4096 - 50 - 4096, 0);
  RUN("movaps unaligned", "\x0f\x28\x07", page + 8, 0);
  RUN("movaps unaligned store", "\x0f\x29\x07", page + 8, 0);
  RUN("movups across into no access", "\x0f\x10\x07", page + 2 * 4096 - 8, 0);
  RUN("pshufb unaligned", "\x66\x0f\x38\x00\x07", page + 1, 0);
  RUN("cmpxchg16b unaligned", "\x48\x0f\xc7\x0f", page + 8, 0);
  RUN("fxsave unaligned", "\x0f\xae\x07", page + 8, 0);
  RUN("ldmxcsr reserved", "\x0f\xae\x17", page, 0);
  RUN("hlt", "\xf4", NULL, 0);
  RUN("cli", "\xfa", NULL, 0);
  RUN("in", "\xe4\x60", NULL, 0);
  RUN("out", "\xe6\x60", NULL, 0);
  RUN("insb", "\x6c", page, 0);
  RUN("outsb", "\x6e", page, 0);
  RUN("rdmsr", "\x31\xc9\x0f\x32", NULL, 0);
  RUN("wrmsr", "\x31\xc9\x0f\x30", NULL, 0);
  RUN("mov from cr0", "\x0f\x20\xc0", NULL, 0);
  RUN("mov to cr3", "\x0f\x22\xd8", NULL, 0);
  RUN("mov from dr7", "\x0f\x21\xf8", NULL, 0);
  RUN("invlpg", "\x0f\x01\x3f", page, 0);
  RUN("invd", "\x0f\x08", NULL, 0);
  RUN("wbinvd", "\x0f\x09", NULL, 0);
  RUN("clts", "\x0f\x06", NULL, 0);
  RUN("lgdt", "\x0f\x01\x17", page, 0);
  RUN("lldt", "\x0f\x00\xd0", NULL, 0);
  RUN("ltr", "\x0f\x00\xd8", NULL, 0);
  RUN("swapgs", "\x0f\x01\xf8", NULL, 0);
  RUN("sysret", "\x48\x0f\x07", NULL, 0);
  RUN("iret to bad frame", "\x6a\x00\x6a\x00\x6a\x00\x6a\x00\x6a\x00\x48\xcf", NULL, 0);
  RUN("far return to null", "\x6a\x00\x6a\x00\x48\xcb", NULL, 0);
  RUN("far return to kernel code", "\x6a\x10\x57\x48\xcb", code, 0);
  RUN("load ss null", "\x31\xc0\x8e\xd0", NULL, 0);
  RUN("load ds bad index", "\xb8\xf8\xff\x00\x00\x8e\xd8", NULL, 0);
  RUN("int 0x21", "\xcd\x21", NULL, 0);
  RUN("int 0x0d", "\xcd\x0d", NULL, 0);
  RUN("int3", "\xcc", NULL, 0);
  RUN("int 3, two bytes", "\xcd\x03", NULL, 0);
  RUN("int 4, two bytes", "\xcd\x04", NULL, 0);
  RUN("ud2", "\x0f\x0b", NULL, 0);
  RUN("ud1", "\x0f\xb9\xc0", NULL, 0);
  RUN("push es in 64-bit mode", "\x06", NULL, 0);
  RUN("into in 64-bit mode", "\xce", NULL, 0);
  RUN("aaa in 64-bit mode", "\x37", NULL, 0);
  RUN("lock on a register", "\xf0\x01\xc0", NULL, 0);
  RUN("lock on mov", "\xf0\x48\x89\x37", page, 0);
  RUN("lea of a register", "\x8d\xc0", NULL, 0);
  RUN("mov to cs", "\x8e\xc8", NULL, 0);
  RUN("too long", "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", NULL, 0);
  RUN("divide by zero", "\x31\xd2\x31\xc0\x31\xc9\xf7\xf1", NULL, 0);
  RUN("divide overflow", "\xba\x05\x00\x00\x00\x31\xc0\xb9\x02\x00\x00\x00\xf7\xf1", NULL, 0);
  RUN("idiv overflow", "\x48\xb8\x00\x00\x00\x00\x00\x00\x00\x80\x48\x99\x48\xc7\xc1\xff\xff\xff\xff\x48\xf7\xf9", NULL, 0);
  RUN("8-bit divide overflow", "\xb8\x00\x10\x00\x00\xb1\x01\xf6\xf1", NULL, 0);

  FILE *file = tmpfile();
  fputs("short", file);
  fflush(file);
  char *mapped = mmap(BASE + 0x100000, 8192, PROT_READ, MAP_SHARED | MAP_FIXED, fileno(file), 0);
  RUN("read behind the end of a file", "\x48\x8b\x07", mapped + 4096, 0);

  try_sse("invalid", 1, invalid);
  try_sse("denormal", 2, denormal);
  try_sse("divide by zero", 4, divide_by_zero);
  try_sse("overflow", 8, overflow);
  try_sse("underflow", 16, underflow);
  try_sse("inexact", 32, inexact);
  try_sse("masked", 0, invalid);
  try_x87("divide by zero", 4, "z");
  try_x87("invalid", 1, "i");
  try_x87("stack underflow", 1, "s");
  try_x87("overflow", 8, "o");
  try_x87("precision", 32, "p");
  return 0;
}
