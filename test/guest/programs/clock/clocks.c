/*
 * Claim: every clock of the guest runs forward, and they agree with each other
 * Compare: no (times are never the same twice); the program says itself what is wrong
 *
 * What: RDTSC and RDTSCP in a row, clock_gettime through the vDSO against the system call, sleeps of several lengths, interval timers,
 *   CPU time against wall time.
 * Why: the Xen clock is a page that hypervisor and vDSO share; a wrong factor or version shows as a step back or a drift.
 * How it can tell: orders and bounds. Early is never right; late by much may be the host's load, so only the bound of seconds counts.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int wrong;
static void fail(const char *what, double value) { printf("WRONG: %s (%g)\n", what, value); wrong++; }
static int64_t now(clockid_t clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec * 1000000000ll + t.tv_nsec; }
static int64_t now_by_system_call(clockid_t clock) { struct timespec t; syscall(SYS_clock_gettime, clock, &t); return t.tv_sec * 1000000000ll + t.tv_nsec; }
static uint64_t tsc(void) { uint32_t low, high; __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)); return (uint64_t)high << 32 | low; }
static uint64_t tscp(void) { uint32_t low, high, cpu; __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(cpu)); return (uint64_t)high << 32 | low; }
static volatile int ticks;
static void on_tick(int signal) { (void)signal; ticks++; }

int main(void) {
  uint64_t last = tsc();
  for (int i = 0; i < 20000; i++) { uint64_t next = i % 2 ? tsc() : tscp(); if (next < last) fail("the TSC runs back by", (double)(last - next)); last = next; }
  clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID};
  for (int c = 0; c < 5; c++) {
    int64_t before = now(clocks[c]);
    for (int i = 0; i < 2000; i++) {
      int64_t between = i % 2 ? now_by_system_call(clocks[c]) : now(clocks[c]);
      if (between < before) fail("a clock runs back between vDSO and system call by ns", (double)(before - between));
      before = between;
    }
  }
  int64_t sleeps[] = {1000000, 20000000, 300000000};
  for (int i = 0; i < 3; i++) {
    int64_t begin = now(CLOCK_MONOTONIC), begin_raw = now(CLOCK_MONOTONIC_RAW);
    uint64_t begin_tsc = tsc();
    nanosleep(&(struct timespec){0, sleeps[i]}, NULL);
    int64_t slept = now(CLOCK_MONOTONIC) - begin, raw = now(CLOCK_MONOTONIC_RAW) - begin_raw, cycles = (int64_t)(tsc() - begin_tsc);
    if (slept < sleeps[i]) fail("a sleep ended early, by ns", (double)(sleeps[i] - slept));
    if (slept > sleeps[i] + 2000000000ll) fail("a sleep was seconds late", (double)slept);
    printf("sleep of %g ms took %g ms\n", sleeps[i] / 1e6, slept / 1e6);
    double ratio = (double)slept / raw;
    if (i == 2 && (ratio < 0.99 || ratio > 1.01)) fail("monotonic and raw clock differ", ratio);
    if (i == 2 && (cycles < slept * 0.98 || cycles > slept * 1.02)) fail("the TSC is not at 1 GHz", (double)cycles / slept);
  }
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  int64_t begin = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  setitimer(ITIMER_REAL, &(struct itimerval){.it_interval = {0, 5000}, .it_value = {0, 5000}}, NULL);
  while (ticks < 40) {}
  int64_t wall = now(CLOCK_MONOTONIC) - begin, used = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
  if (wall < 195000000) fail("40 ticks of 5 ms took only ns", (double)wall);
  if (used > wall * 1.02 + 4e6) fail("more CPU time than time", (double)used / wall);
  printf("40 ticks of 5 ms: %g ms, CPU time %g ms\n", wall / 1e6, used / 1e6);
  time_t seconds = time(NULL);
  if (seconds < 1700000000) fail("the date is before 2023", (double)seconds);
  return wrong != 0;
}
