/*
 * Claim: threads that hand messages to and fro by futex, among signals, lose neither a message nor a wake-up
 *
 * What: pairs of threads; each message lies across a page boundary and is handed over by a word and FUTEX_WAIT and FUTEX_WAKE. A timer's
 *   SIGALRM and a thread that sends SIGUSR1 interrupt the waits. A last counter is added to by a LOCK prefix across the boundary.
 * Why: a wake-up that is lost hangs; a store that goes to a frame of yesterday is found in the message.
 * How it can tell: each message is a function of its number, and the sums are known.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { PAIRS = 3, ROUNDS = 1500, MESSAGE_BYTES = 96, BOUNDARY = 4096 };

struct pair {
  char *pages;
  _Atomic uint32_t *turn;
  uint64_t sums[2];
  pthread_t threads[2];
};
struct side { struct pair *pair; int index; };

static struct pair pairs[PAIRS];
static volatile uint64_t *split;
static _Atomic int seen_alarms, seen_users, finished;

static void on_alarm(int signal) { (void)signal; seen_alarms++; }
static void on_user(int signal) { (void)signal; seen_users++; }

static void add_split(void) { __asm__ volatile("lock addq $1, %0" : "+m"(*split)); }

static void *run(void *argument) {
  struct side *side = argument;
  struct pair *pair = side->pair;
  unsigned char *message = (unsigned char *)pair->pages + BOUNDARY - MESSAGE_BYTES / 2;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    uint32_t mine = 2 * round + side->index, seen;
    while ((seen = atomic_load(pair->turn)) != mine) syscall(SYS_futex, pair->turn, FUTEX_WAIT, seen, 0, 0, 0);
    for (int i = 0; mine > 0 && i < MESSAGE_BYTES; i++) {
      if (message[i] != (unsigned char)((mine - 1) * 31 + i)) {
        printf("round %u, side %d: byte %d is %02x\n", round, side->index, i, message[i]);
        exit(1);
      }
      pair->sums[side->index] += message[i];
    }
    for (int i = 0; i < MESSAGE_BYTES; i++) message[i] = mine * 31 + i;
    add_split();
    atomic_store(pair->turn, mine + 1);
    syscall(SYS_futex, pair->turn, FUTEX_WAKE, 1, 0, 0, 0);
  }
  finished++;
  return 0;
}

static void *interrupt(void *unused) {
  (void)unused;
  for (int i = 0; finished < 2 * PAIRS || seen_alarms == 0 || seen_users == 0; i++) {
    pthread_kill(pairs[i % PAIRS].threads[i / PAIRS % 2], SIGUSR1);
    usleep(2000);
  }
  return 0;
}

int main(void) {
  static struct side sides[2 * PAIRS];
  struct sigaction alarm_action = {.sa_handler = on_alarm}, user_action = {.sa_handler = on_user};
  sigaction(SIGALRM, &alarm_action, 0);
  sigaction(SIGUSR1, &user_action, 0);
  split = (void *)((char *)mmap(0, 2 * BOUNDARY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + BOUNDARY - 4);
  for (int i = 0; i < PAIRS; i++) {
    pairs[i].pages = mmap(0, 2 * BOUNDARY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pairs[i].turn = (void *)pairs[i].pages;
  }
  struct itimerval every = {{0, 5000}, {0, 5000}};
  setitimer(ITIMER_REAL, &every, 0);
  for (int i = 0; i < 2 * PAIRS; i++) {
    sides[i] = (struct side){&pairs[i / 2], i % 2};
    if (pthread_create(&pairs[i / 2].threads[i % 2], 0, run, &sides[i])) abort();
  }
  pthread_t interrupter;
  pthread_create(&interrupter, 0, interrupt, 0);
  /* A thread may be sent signals until it is joined. */
  pthread_join(interrupter, 0);
  for (int i = 0; i < 2 * PAIRS; i++) pthread_join(pairs[i / 2].threads[i % 2], 0);
  for (int i = 0; i < PAIRS; i++) printf("pair %d: %lu %lu\n", i, pairs[i].sums[0], pairs[i].sums[1]);
  printf("across the boundary: %lu\n", *split);
  return 0;
}
