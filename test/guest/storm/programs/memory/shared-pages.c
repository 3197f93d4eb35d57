/*
 * Claim: pages that processes share, copy at a write, protect, move and drop have what was written to them last
 *
 * What: processes add to every counter of a shared mapping of a file, each in an order of its own; meanwhile a private region is inherited and
 *   changed by each; regions are protected and released, moved (mremap), dropped (MADV_DONTNEED) and touched again; threads do so in one
 *   address space, which asks the other processors to drop translations.
 * Why: the guest's page tables change here while the frames below them change, too; accessed and dirty bits are set in frames that move.
 * How it can tell: sums that do not depend on the order; each process finds its own values only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 256, CHILDREN = 6, ROUNDS = 4, THREADS = 3 };

static _Atomic uint64_t *shared;
static unsigned char *private;

static void fail(const char *what, long where) {
  printf("%s at %ld\n", what, where);
  fflush(stdout);
  _exit(1);
}

static void check_private(int owner) {
  for (int page = 0; page < PAGES; page++) {
    if (private[page * PAGE + 7] != (unsigned char)(page + owner)) fail("another's private page", page);
  }
}

static int child(int index) {
  /* An odd step has no common divisor with the number of pages. */
  const int step = 2 * index + 1;
  check_private(0);
  for (int page = 0; page < PAGES; page++) private[page * PAGE + 7] = page + index;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0, page = index; i < PAGES; i++, page = (page + step) % PAGES) {
      atomic_fetch_add(&shared[page * (PAGE / 8)], 1);
      atomic_fetch_add(&shared[page * (PAGE / 8) + PAGE / 8 - 1], page);
    }
  }
  check_private(index);
  return 0;
}

static void *change_mappings(void *argument) {
  const long index = (long)argument;
  unsigned char *region = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  long sum = 0;
  for (int round = 0; round < 60; round++) {
    for (int page = 0; page < 16; page++) region[page * PAGE] = round + page + index;
    mprotect(region, 16 * PAGE, PROT_READ);
    for (int page = 0; page < 16; page++) if (region[page * PAGE] != (unsigned char)(round + page + index)) fail("a protected page", page);
    unsigned char *moved = mremap(region, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    if (moved != MAP_FAILED) { munmap(region, 16 * PAGE); region = moved; }
    mprotect(region, 16 * PAGE, PROT_READ | PROT_WRITE);
    for (int page = 0; page < 16; page++) sum += region[page * PAGE];
    madvise(region, 16 * PAGE, MADV_DONTNEED);
    for (int page = 0; page < 16; page++) if (region[page * PAGE] != 0) fail("a dropped page", page);
  }
  return (void *)sum;
}

int main(void) {
  char path[] = "/tmp/shared-pages-XXXXXX";
  int file = mkstemp(path);
  if (file < 0 || ftruncate(file, PAGES * PAGE)) return 2;
  shared = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  private = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int page = 0; page < PAGES; page++) private[page * PAGE + 7] = page;
  for (int i = 1; i <= CHILDREN; i++) if (fork() == 0) _exit(child(i));
  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, change_mappings, (void *)i);
  for (int i = 0; i < THREADS; i++) { void *sum; pthread_join(threads[i], &sum); printf("thread %d: %ld\n", i, (long)sum); }
  int failed = 0;
  for (int i = 0, status; i < CHILDREN; i++) { wait(&status); failed += status != 0; }
  check_private(0);
  /* By another way: the file, not the mapping. */
  uint64_t sums[2] = {0, 0};
  static uint64_t page[PAGE / 8];
  for (int i = 0; i < PAGES; i++) {
    if (pread(file, page, PAGE, (off_t)i * PAGE) != PAGE) return 2;
    if (page[0] != CHILDREN * ROUNDS) fail("an update lost", i);
    sums[0] += page[0];
    sums[1] += page[PAGE / 8 - 1];
  }
  unlink(path);
  printf("%d children failed, sums %lu %lu\n", failed, sums[0], sums[1]);
  return failed;
}
