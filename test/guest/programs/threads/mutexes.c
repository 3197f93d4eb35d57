/*
 * Claim: threads that meet by mutex, condition, barrier, semaphore and atomics lose no update
 * Builds: 64 32
 *
 * What: counters under a mutex and by atomic instructions of each width, a bounded queue with condition variables, barriers
 *   in rounds, thread-local variables, thread cancellation, robust mutexes.
 * Why: these are futexes, LOCK-prefixed instructions, FS or GS bases that change at each switch, and the scheduler's timer.
 * How it can tell: each sum is known beforehand and the same on every run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 2000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static long guarded, semaphored;
static _Atomic uint8_t narrow;
static _Atomic uint16_t middle;
static _Atomic uint32_t word;
static _Atomic uint64_t wide;
static _Atomic uint64_t compared;
static _Thread_local uint64_t own = 0x1234;
static int queue[16], queue_head, queue_length;
static long consumed;
static int rounds_seen[THREADS];

static void *count(void *argument) {
  long index = (long)argument;
  for (int i = 0; i < ROUNDS; i++) {
    pthread_mutex_lock(&mutex);
    guarded++;
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&narrow, 1);
    atomic_fetch_sub(&middle, 3);
    atomic_fetch_xor(&word, 1u << (i & 31));
    atomic_fetch_add(&wide, 0x100000001ull);
    uint64_t old = atomic_load(&compared);
    while (!atomic_compare_exchange_weak(&compared, &old, old + index + 1)) {}
    own += index;
    if (i % 100 == 0) { sem_wait(&semaphore); semaphored++; sem_post(&semaphore); }
  }
  return (void *)(uintptr_t)own;
}

static void *meet(void *argument) {
  long index = (long)argument;
  int leaders = 0;
  for (int i = 0; i < 50; i++) {
    rounds_seen[index] = i;
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) leaders++;
    for (int j = 0; j < THREADS; j++) if (rounds_seen[j] != i) abort();
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) leaders++;
  }
  return (void *)(uintptr_t)leaders;
}

static void *produce(void *argument) {
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&mutex);
    while (queue_length == 16) pthread_cond_wait(&not_full, &mutex);
    queue[(queue_head + queue_length++) % 16] = (int)(long)argument * 1000 + i;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void *consume(void *argument) {
  (void)argument;
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&mutex);
    while (queue_length == 0) pthread_cond_wait(&not_empty, &mutex);
    consumed += queue[queue_head];
    queue_head = (queue_head + 1) % 16;
    queue_length--;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void *die_with_lock(void *lock) { pthread_mutex_lock(lock); return NULL; }
static void clean(void *flag) { *(int *)flag = 1; }
static int cleaned;
static void *wait_for_cancel(void *argument) {
  pthread_cleanup_push(clean, &cleaned);
  for (;;) pthread_testcancel();
  pthread_cleanup_pop(0);
  return argument;
}

static unsigned long run(void *(*function)(void *)) {
  pthread_t threads[THREADS];
  unsigned long sum = 0;
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, function, (void *)i);
  for (int i = 0; i < THREADS; i++) { void *result; pthread_join(threads[i], &result); sum += (uintptr_t)result; }
  return sum;
}

int main(void) {
  sem_init(&semaphore, 0, 1);
  printf("own %lu\n", run(count));
  printf("guarded %ld semaphored %ld narrow %u middle %u word %x wide %llx compared %llu\n", guarded, semaphored, narrow, middle,
         word, (unsigned long long)wide, (unsigned long long)compared);
  pthread_barrier_init(&barrier, NULL, THREADS);
  printf("leaders %lu\n", run(meet));
  pthread_t threads[4];
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i % 2 ? produce : consume, (void *)i);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  printf("consumed %ld left %d\n", consumed, queue_length);

  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t robust;
  pthread_mutex_init(&robust, &attributes);
  pthread_create(&threads[0], NULL, die_with_lock, &robust);
  pthread_join(threads[0], NULL);
  printf("robust %s\n", pthread_mutex_lock(&robust) == EOWNERDEAD ? "EOWNERDEAD" : "wrong");

  pthread_create(&threads[0], NULL, wait_for_cancel, NULL);
  pthread_cancel(threads[0]);
  void *result;
  pthread_join(threads[0], &result);
  printf("cancelled %d cleaned %d\n", result == PTHREAD_CANCELED, cleaned);

  struct timespec soon;
  clock_gettime(CLOCK_REALTIME, &soon);
  pthread_mutex_lock(&mutex);
  printf("timed wait %s\n", pthread_cond_timedwait(&not_empty, &mutex, &soon) == ETIMEDOUT ? "ETIMEDOUT" : "wrong");
  return 0;
}
