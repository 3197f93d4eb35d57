/*
 * Claim: string instructions of each width, prefix and direction move, fill, search and compare as on a real processor
 * Builds: 64 32
 *
 * What: MOVS, STOS, LODS, SCAS, CMPS with REP, REPE, REPNE and none, forwards and backwards, overlapping, over page borders, with a fault in
 *   the middle that is repaired, and the C library's own string functions.
 * Why: they are restarted in the middle after faults and interrupts, with count and pointers as far as they came.
 * How it can tell: prints checksums of the memory, the registers left over and the flags.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 3 * PAGE };
static unsigned char *memory;
static int repairs;

static uint32_t checksum(void) {
  uint32_t hash = 2166136261u;
  for (int i = 0; i < SIZE; i++) hash = (hash ^ memory[i]) * 16777619u;
  return hash;
}
static void fill(uint32_t seed) { for (int i = 0; i < SIZE; i++) { seed = seed * 1103515245 + 12345; memory[i] = (unsigned char)(seed >> 20 & 3); } }

static void repair(int signal, siginfo_t *info, void *context) {
  (void)signal;
  ucontext_t *c = context;
#ifdef __x86_64__
  printf(" [fault at +%ld, count %lld]", (long)((unsigned char *)info->si_addr - memory), c->uc_mcontext.gregs[REG_RCX]);
#else
  printf(" [fault at +%ld, count %d]", (long)((unsigned char *)info->si_addr - memory), c->uc_mcontext.gregs[REG_ECX]);
#endif
  mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
  repairs++;
}

#define CASE(text, source, target, length, accumulator) do { for (int down = 0; down < 2; down++) { \
    uintptr_t si = (uintptr_t)(memory + (source)), di = (uintptr_t)(memory + (target)), cx = (length), ax = (accumulator), flags; \
    fill(42); \
    if (down) __asm__ volatile("cmp %%eax, %%eax\n\tstd\n\t" text "\n\tpushf\n\tcld\n\tpop %4" : "+S"(si), "+D"(di), "+c"(cx), "+a"(ax), "=r"(flags) : : "memory", "cc"); \
    else __asm__ volatile("cmp %%eax, %%eax\n\t" text "\n\tpushf\n\tpop %4" : "+S"(si), "+D"(di), "+c"(cx), "+a"(ax), "=r"(flags) : : "memory", "cc"); \
    printf("%s %d: si %+ld di %+ld cx %ld ax %lx flags %lx memory %08x\n", text, down, (long)(si - (uintptr_t)memory), (long)(di - (uintptr_t)memory), (long)cx, (long)ax, (long)(flags & 0x8d5), checksum()); } } while (0)

#define WIDTHS(prefix, name, s, t, l, a) CASE(prefix name "b", s, t, l, a); CASE(prefix name "w", s, t, l, a); CASE(prefix name "l", s, t, l, a)
#define ALL(prefix, s, t, l, a) WIDTHS(prefix, "movs", s, t, l, a); WIDTHS(prefix, "stos", s, t, l, a); WIDTHS(prefix, "lods", s, t, l, a)
#define SEARCH(prefix, s, t, l, a) WIDTHS(prefix, "scas", s, t, l, a); WIDTHS(prefix, "cmps", s, t, l, a)

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ALL("", PAGE + 100, 2 * PAGE - 1, 5, 0x12345678);
  ALL("rep ", PAGE + 2000, PAGE + 2003, 700, 0x12345678);
  ALL("rep ", PAGE + 2003, PAGE + 2000, 700, 0x12345678);
  ALL("rep ", 2 * PAGE - 5, PAGE - 3, 300, 0xa1b2c3d4);
  ALL("rep ", PAGE, 2 * PAGE, 0, 1);
  SEARCH("", PAGE + 1, PAGE + 5, 9, 2);
  SEARCH("repe ", PAGE + 3000, PAGE + 3000, 500, 1);
  SEARCH("repe ", PAGE + 3000, PAGE + 3001, 500, 1);
  SEARCH("repne ", PAGE + 3000, PAGE + 4500, 500, 0x03020100);
  SEARCH("repne ", PAGE + 3000, PAGE + 4500, 500, 0xff);
#ifdef __x86_64__
  CASE("rep movsq", PAGE - 3, PAGE + 64, 200, 0);
  CASE("rep stosq", PAGE - 3, PAGE + 61, 200, 0x0123456789abcdefll);
  CASE("repe cmpsq", PAGE + 8, PAGE + 8, 100, 0);
  CASE("repne scasq", PAGE + 8, PAGE + 8, 100, 0);
#endif

  struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  for (int down = 0; down < 2; down++)
    for (int kind = 0; kind < 3; kind++) {
      fill(7);
      mprotect(memory + PAGE, PAGE, kind == 2 ? PROT_READ : PROT_NONE);
      uintptr_t si = (uintptr_t)memory + (kind == 1 ? PAGE : 2 * PAGE) + (down ? 90 : -90), di = (uintptr_t)memory + (down ? 2 * PAGE + 50 : PAGE - 50), cx = 101;
      if (down) __asm__ volatile("std; rep movsb; cld" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
      else __asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
      mprotect(memory, SIZE, PROT_READ | PROT_WRITE);
      printf(" faulting %d %d: si %+ld di %+ld cx %ld memory %08x\n", kind, down, (long)(si - (uintptr_t)memory), (long)(di - (uintptr_t)memory), (long)cx, checksum());
    }
  printf("repairs %d\n", repairs);

  uint32_t hash = 1;
  for (int i = 0; i < 2000; i++) {
    int at = i * 37 % 5000, to = i * 101 % 5000, length = i * 13 % 600;
    if (i % 100 == 0) fill(i);
    switch (i % 8) {
      case 0: memcpy(memory + 6000 + to % 5000, memory + at % 5000, length); break;
      case 1: memmove(memory + to, memory + at, length); break;
      case 2: memset(memory + to, i, length); break;
      case 3: { unsigned char *p = memchr(memory + at, i & 3, length); hash = hash * 31 + (p ? (uint32_t)(p - memory) : 0); break; }
      case 4: { int c = memcmp(memory + at, memory + to, length); hash = hash * 31 + (c > 0) - (c < 0); break; }
      case 5: memory[SIZE - 1] = 0; hash = hash * 31 + (uint32_t)strlen((char *)memory + at); break;
      case 6: { char *p = strchr((char *)memory + at, 2); hash = hash * 31 + (p ? (uint32_t)(p - (char *)memory) : 0); break; }
      case 7: { char *p = strstr((char *)memory + at, "\1\2\1"); hash = hash * 31 + (p ? (uint32_t)(p - (char *)memory) : 0); break; }
    }
  }
  printf("library %08x %08x\n", hash, checksum());
  return 0;
}
