/*
 * Claim: locked instructions are atomic at every address, also across cache lines and pages
 * Builds: 64 32
 *
 * What: threads and processes that add, exchange, set bits and compare-exchange at addresses that straddle lines and pages.
 * Why: a page border means two translations, two faults, and two host addresses for one atomic operation.
 * How it can tell: no update may be lost, and a fault on either page leaves both as they were.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, THREADS = 4, ROUNDS = 100 };
static unsigned char *memory;
static sigjmp_buf back;
static const int places[] = {8, 1, 61, 63, PAGE - 1, PAGE - 2, PAGE - 3, PAGE - 4};

#define AT(type, place) ((type *)(void *)(memory + (place)))
static void add32(int place, uint32_t n) { __asm__ volatile("lock addl %1, %0" : "+m"(*AT(volatile uint32_t, place)) : "r"(n) : "cc"); }
static void add16(int place, uint16_t n) { __asm__ volatile("lock addw %1, %0" : "+m"(*AT(volatile uint16_t, place)) : "r"(n) : "cc"); }
static uint32_t exchange_add(int place, uint32_t n) { __asm__ volatile("lock xaddl %1, %0" : "+m"(*AT(volatile uint32_t, place)), "+r"(n) : : "cc"); return n; }
static void compare_exchange(int place, uint32_t n) {
  for (;;) {
    uint32_t old; memcpy(&old, memory + place, 4);
    uint32_t expected = old;
    __asm__ volatile("lock cmpxchgl %2, %0" : "+m"(*AT(volatile uint32_t, place)), "+a"(old) : "r"(old + n) : "cc");
    if (old == expected) return;
  }
}
static void compare_exchange_pair(int place, uint32_t n) {
  for (;;) {
    uint64_t old; memcpy(&old, memory + place, 8);
    uint64_t wanted = old + n;
    char done;
    __asm__ volatile("lock cmpxchg8b %0; sete %1" : "+m"(*AT(volatile uint64_t, place)), "=q"(done), "+A"(old) : "b"((uint32_t)wanted), "c"((uint32_t)(wanted >> 32)) : "cc");
    if (done) return;
  }
}
#ifdef __x86_64__
#undef compare_exchange_pair
static void pair64(int place, uint32_t n) {
  for (;;) {
    uint64_t old; memcpy(&old, memory + place, 8);
    uint64_t wanted = old + n;
    char done;
    uint32_t low = (uint32_t)old, high = (uint32_t)(old >> 32);
    __asm__ volatile("lock cmpxchg8b %0; sete %1" : "+m"(*AT(volatile uint64_t, place)), "=q"(done), "+a"(low), "+d"(high) : "b"((uint32_t)wanted), "c"((uint32_t)(wanted >> 32)) : "cc");
    if (done) return;
  }
}
#define compare_exchange_pair pair64
#endif

static int place;
static void *hammer(void *argument) {
  (void)argument;
  for (int i = 0; i < ROUNDS; i++) {
    add32(place, 3); add16(place, 5); exchange_add(place, 7); compare_exchange(place, 11); compare_exchange_pair(place, 13);
    if (i % 50 == 0) sched_yield();
  }
  return NULL;
}
static void on_fault(int signal) { (void)signal; siglongjmp(back, 1); }

int main(void) {
  memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
    place = places[i];
    memset(memory, 0, 3 * PAGE);
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) pthread_create(&threads[t], NULL, hammer, NULL);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    uint64_t value; memcpy(&value, memory + place, 8);
    printf("threads at %d: %llu\n", place, (unsigned long long)value);
    fflush(stdout);
    memset(memory, 0, 3 * PAGE);
    for (int t = 0; t < THREADS; t++) if (fork() == 0) { hammer(NULL); _exit(0); }
    while (wait(NULL) > 0) {}
    memcpy(&value, memory + place, 8);
    printf("processes at %d: %llu\n", place, (unsigned long long)value);
  }
  signal(SIGSEGV, on_fault);
  for (int forbidden = 0; forbidden < 2; forbidden++) {
    memset(memory, 0x11, 3 * PAGE);
    mprotect(memory + forbidden * PAGE, PAGE, PROT_READ);
    int faults = 0;
    for (int at = PAGE - 3; at < PAGE; at++) {
      if (sigsetjmp(back, 1)) { faults++; continue; }
      add32(at, 0x01010101);
    }
    mprotect(memory, 3 * PAGE, PROT_READ | PROT_WRITE);
    int changed = 0;
    for (int i = 0; i < 3 * PAGE; i++) changed += memory[i] != 0x11;
    printf("page %d read-only: faults %d changed %d\n", forbidden, faults, changed);
  }
  /* xchg is locked without a prefix; bts reaches far from its operand. */
  uint32_t value = 0xdeadbeef;
  __asm__ volatile("xchgl %1, %0" : "+m"(*AT(volatile uint32_t, PAGE - 2)), "+r"(value));
  uint32_t now; memcpy(&now, memory + PAGE - 2, 4);
  printf("exchanged %x %x\n", value, now);
  memset(memory, 0, 3 * PAGE);
  unsigned carries = 0;
  for (long bit = -32; bit < 64; bit += 3) { char carry; __asm__ volatile("lock btsl %2, %0; setc %1" : "+m"(*AT(volatile uint32_t, PAGE - 1)), "=q"(carry) : "r"((int)bit) : "cc", "memory"); carries = carries * 2 + carry; }
  uint32_t hash = 1;
  for (int i = PAGE - 16; i < PAGE + 16; i++) hash = hash * 31 + memory[i];
  printf("bits %08x carries %u\n", hash, carries);
#ifdef __x86_64__
  uint64_t pair[2] __attribute__((aligned(16))) = {1, 2};
  uint64_t low = 1, high = 2;
  char done;
  __asm__ volatile("lock cmpxchg16b %0; sete %1" : "+m"(*(__int128 *)pair), "=q"(done), "+a"(low), "+d"(high) : "b"(3ull), "c"(4ull) : "cc");
  printf("cmpxchg16b %d %llu %llu", done, (unsigned long long)pair[0], (unsigned long long)pair[1]);
  low = 9;
  __asm__ volatile("lock cmpxchg16b %0; sete %1" : "+m"(*(__int128 *)pair), "=q"(done), "+a"(low), "+d"(high) : "b"(5ull), "c"(6ull) : "cc");
  printf(", failing %d %llu %llu\n", done, (unsigned long long)low, (unsigned long long)high);
#endif
  return 0;
}
