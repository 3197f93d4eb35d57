/*
 * Claim: long jumps, swapped contexts, deep recursion and computed jumps come back with all state intact
 * Builds: 64 32
 *
 * What: setjmp and longjmp through many frames and out of handlers, makecontext and swapcontext, deep recursion, jump tables, C callbacks from qsort.
 * Why: return addresses are predicted and traces are linked by an engine that must notice when the guess is wrong.
 * How it can tell: sums over the values carried through.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static jmp_buf back;
static sigjmp_buf signal_back;
static int dive(int depth, int value) { volatile char room[64]; room[0] = (char)depth; if (depth == 0) longjmp(back, value); return dive(depth - 1, value) + room[0]; }
static void on_signal(int number) { siglongjmp(signal_back, number); }

static ucontext_t contexts[4], home;
static int order[64], order_length;
static char stacks[4][65536];
static void wander(int index) {
  for (int i = 0; i < 10; i++) { order[order_length++] = index; swapcontext(&contexts[index], &contexts[(index * 3 + 1 + i) % 4]); }
}
static int compare(const void *a, const void *b) { uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b; return (x > y) - (x < y); }
static uint64_t ackermann(uint64_t m, uint64_t n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }

static uint32_t machine(const unsigned char *code) {
  static void *labels[] = {&&add, &&multiply, &&rotate, &&flip, &&skip, &&end};
  uint32_t x = 1;
  goto *labels[*code++];
add: x += 0x9e3779b9; goto *labels[*code++];
multiply: x *= 0x85ebca6b; goto *labels[*code++];
rotate: x = x << 13 | x >> 19; goto *labels[*code++];
flip: x = ~x; goto *labels[*code++];
skip: code += x & 1; goto *labels[*code++];
end: return x;
}

int main(void) {
  volatile long sum = 0;
  for (volatile int i = 1; i <= 500; i++) { int value = setjmp(back); if (value == 0) dive(i % 50, i); sum += value * (i % 7); }
  printf("longjmp %ld\n", sum);
  signal(SIGUSR1, on_signal);
  sum = 0;
  for (volatile int i = 0; i < 200; i++) { if (sigsetjmp(signal_back, 1) == 0) raise(SIGUSR1); else sum += i; }
  printf("siglongjmp %ld\n", sum);
  for (int i = 0; i < 4; i++) {
    getcontext(&contexts[i]);
    contexts[i].uc_stack = (stack_t){.ss_sp = stacks[i], .ss_size = sizeof stacks[i]};
    contexts[i].uc_link = &home;
    makecontext(&contexts[i], (void (*)(void))wander, 1, i);
  }
  swapcontext(&home, &contexts[0]);
  for (int i = 0; i < order_length; i++) printf("%d", order[i]);
  printf("\nackermann %llu\n", (unsigned long long)ackermann(2, 300));
  enum { COUNT = 20000 };
  uint32_t *numbers = malloc(COUNT * sizeof *numbers), seed = 1, hash = 0;
  for (int i = 0; i < COUNT; i++) numbers[i] = seed = seed * 1664525 + 1013904223;
  qsort(numbers, COUNT, sizeof *numbers, compare);
  for (int i = 0; i < COUNT; i++) hash = hash * 31 + numbers[i];
  printf("sorted %08x\n", hash);
  unsigned char *code = malloc(100002);
  for (int i = 0; i < 100000; i++) { seed = seed * 1664525 + 1013904223; code[i] = (seed >> 24) % 5; }
  code[100000] = code[100001] = 5;
  printf("interpreted %08x\n", machine(code));
  return 0;
}
