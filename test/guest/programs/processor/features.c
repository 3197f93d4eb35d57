/*
 * Claim: CPUID offers exactly what works, and the kernel's auxiliary vector agrees
 * Compare: no (the host has another processor); the program says itself what is wrong
 *
 * What: for each feature bit that a user program can use, runs one of its instructions: it must work when offered; where it is not
 *   offered it must be undefined, unless the processor's definition has no such rule. RDRAND must differ from call to call.
 * Why: programs choose their code by these bits once, at start, and never look again.
 * How it can tell: SIGILL, or none.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;
static unsigned char *code;
static int wrong;
static void on_signal(int number) { siglongjmp(back, number); }

static int works(const char *bytes, int length) {
  memcpy(code, bytes, length);
  code[length] = 0xc3;
  static unsigned char room[1024] __attribute__((aligned(64)));
  int number = sigsetjmp(back, 1);
  if (number != 0) return number == SIGILL ? 0 : -number;
  /* Saves what CPUID, RDTSCP and the like may change. */
  __asm__ volatile("push %%rbx; call *%0; pop %%rbx" : : "r"(code), "D"(room) : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1");
  return 1;
}

static void check(const char *name, int offered, const char *bytes, int length, int must_be_undefined) {
  int result = works(bytes, length);
  int is_right = offered ? result == 1 : !must_be_undefined || result == 0;
  printf("%s: offered %d, works %d%s\n", name, !!offered, result, is_right ? "" : "  WRONG");
  wrong += !is_right;
}
#define CHECK(name, offered, bytes) check(name, offered, bytes, sizeof bytes - 1, 1)
#define CHECK_OFFERED(name, offered, bytes) check(name, offered, bytes, sizeof bytes - 1, 0)

int main(void) {
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  signal(SIGILL, on_signal); signal(SIGSEGV, on_signal);
  unsigned a, b, c, d, b7, c7, d7, c8, d8, max, max_extended;
  char vendor[13] = {0};
  __cpuid(0, max, b, c, d);
  memcpy(vendor, &b, 4); memcpy(vendor + 4, &d, 4); memcpy(vendor + 8, &c, 4);
  __cpuid_count(7, 0, a, b7, c7, d7);
  __cpuid(0x80000000, max_extended, b, c, d);
  __cpuid(0x80000001, a, b, c8, d8);
  __cpuid(1, a, b, c, d);
  printf("vendor %s, leaves to %u and %#x, signature %#x\n", vendor, max, max_extended, a);
  unsigned long auxiliary[64] = {0};
  FILE *file = fopen("/proc/self/auxv", "r");
  fread(auxiliary, 1, sizeof auxiliary, file);
  for (int i = 0; auxiliary[i] != AT_NULL; i += 2)
    if (auxiliary[i] == AT_HWCAP && auxiliary[i + 1] != d) { printf("AT_HWCAP %lx, CPUID %x  WRONG\n", auxiliary[i + 1], d); wrong++; }
  CHECK_OFFERED("fpu", d & 1, "\xd9\xe8\xdd\xd8");
  CHECK_OFFERED("tsc", d >> 4 & 1, "\x0f\x31");
  CHECK_OFFERED("cx8", d >> 8 & 1, "\x0f\xc7\x0f");
  CHECK_OFFERED("cmov", d >> 15 & 1, "\x0f\x44\xc1");
  CHECK_OFFERED("clflush", d >> 19 & 1, "\x0f\xae\x3f");
  CHECK_OFFERED("mmx", d >> 23 & 1, "\x0f\xef\xc0\x0f\x77");
  CHECK_OFFERED("fxsr", d >> 24 & 1, "\x0f\xae\x07");
  CHECK_OFFERED("sse", d >> 25 & 1, "\x0f\x58\xc1");
  CHECK_OFFERED("sse2", d >> 26 & 1, "\x66\x0f\x58\xc1");
  CHECK("sse3", c & 1, "\xf2\x0f\xd0\xc1");
  CHECK("pclmulqdq", c >> 1 & 1, "\x66\x0f\x3a\x44\xc1\x00");
  CHECK("monitor", 0, "\x0f\x01\xc8");
  CHECK("ssse3", c >> 9 & 1, "\x66\x0f\x38\x00\xc1");
  CHECK("fma", c >> 12 & 1, "\xc4\xe2\xf1\x98\xc1");
  CHECK("cx16", c >> 13 & 1, "\x48\x0f\xc7\x0f");
  CHECK("sse4.1", c >> 19 & 1, "\x66\x0f\x38\x17\xc1");
  CHECK("sse4.2", c >> 20 & 1, "\x66\x0f\x38\x37\xc1");
  CHECK("movbe", c >> 22 & 1, "\x0f\x38\xf0\x07");
  CHECK("popcnt", c >> 23 & 1, "\xf3\x0f\xb8\xc1");
  CHECK("aes", c >> 25 & 1, "\x66\x0f\x38\xdc\xc1");
  CHECK("xsave", c >> 27 & 1, "\x31\xc9\x0f\x01\xd0");
  CHECK("avx", c >> 28 & 1, "\xc5\xf8\x58\xc1");
  CHECK("f16c", c >> 29 & 1, "\xc4\xe2\x79\x13\xc1");
  CHECK("rdrand", c >> 30 & 1, "\x0f\xc7\xf0");
  CHECK("fsgsbase", b7 & 1, "\xf3\x48\x0f\xae\xc0");
  CHECK("bmi1", b7 >> 3 & 1, "\xc4\xe2\x78\xf2\xc1");
  CHECK("avx2", b7 >> 5 & 1, "\xc5\xf5\xfc\xc1");
  CHECK("bmi2", b7 >> 8 & 1, "\xc4\xe2\x72\xf5\xc1");
  CHECK_OFFERED("erms", b7 >> 9 & 1, "\xb9\x10\x00\x00\x00\xf3\xaa");
  CHECK("rdseed", b7 >> 18 & 1, "\x0f\xc7\xf8");
  CHECK("adx", b7 >> 19 & 1, "\x66\x0f\x38\xf6\xc1");
  CHECK("clac in user mode", 0, "\x0f\x01\xca");
  CHECK("clflushopt", b7 >> 23 & 1, "\x66\x0f\xae\x3f");
  CHECK("clwb", b7 >> 24 & 1, "\x66\x0f\xae\x37");
  CHECK("sha", b7 >> 29 & 1, "\x0f\x38\xc8\xc1");
  CHECK("rdpid", c7 >> 22 & 1, "\xf3\x0f\xc7\xf8");
  CHECK_OFFERED("serialize", d7 >> 14 & 1, "\x0f\x01\xe8");
  CHECK("serialize", d7 >> 14 & 1, "\x0f\x01\xe8");
  CHECK("gfni", c7 >> 8 & 1, "\x66\x0f\x38\xcf\xc1");
  CHECK_OFFERED("lahf", c8 & 1, "\x9f");
  CHECK_OFFERED("lzcnt", c8 >> 5 & 1, "\xf3\x0f\xbd\xc1");
  CHECK("sse4a", c8 >> 6 & 1, "\xf2\x0f\x79\xc1");
  CHECK_OFFERED("prefetchw", c8 >> 8 & 1, "\x0f\x0d\x0f");
  CHECK("xop", c8 >> 11 & 1, "\x8f\xe9\x78\x81\xc1");
  CHECK("fma4", c8 >> 16 & 1, "\xc4\xe3\xf1\x69\xc1\x00");
  CHECK("tbm", c8 >> 21 & 1, "\x8f\xe9\x78\x01\xc9");
  CHECK("syscall", d8 >> 11 & 1, "\x6a\x27\x58\x0f\x05");
  CHECK("rdtscp", d8 >> 27 & 1, "\x0f\x01\xf9");
  CHECK("3dnow", d8 >> 31 & 1, "\x0f\x0f\xc1\x9e");
  unsigned long long random[64];
  int failures = 0, equal = 0;
  for (int i = 0; i < 64; i++) { char ok; __asm__ volatile("rdrand %0; setc %1" : "=r"(random[i]), "=q"(ok) : : "cc"); failures += !ok; for (int j = 0; j < i; j++) equal += random[i] == random[j]; }
  printf("rdrand: failures %d, equal %d\n", failures, equal);
  return wrong != 0 || failures != 0 || equal != 0;
}
