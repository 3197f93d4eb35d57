/*
 * Claim: mapped memory keeps its content and its protection through every way of changing the mapping
 * Builds: 64 32
 *
 * What: mmap, mprotect, mremap, madvise, shared mappings, huge ranges touched here and there, a file seen through two mappings,
 *   userfault-free copy on write across fork with many pages.
 * Why: each change must reach the processor's translation caches (INVLPG, CR3 loads), including those of pages just used.
 * How it can tell: checksums and fault counts, which are the same wherever it runs.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };
static sigjmp_buf back;
static volatile int faults;

static void on_fault(int signal) { (void)signal; faults++; siglongjmp(back, 1); }

static int may_write(volatile char *p) { if (sigsetjmp(back, 1)) return 0; *p = *p; return 1; }
static int may_read(volatile char *p) { if (sigsetjmp(back, 1)) return 0; (void)*p; return 1; }

static uint32_t checksum(const void *data, size_t length) {
  const unsigned char *bytes = data;
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

static void fill(char *data, size_t length, uint32_t seed) {
  for (size_t i = 0; i < length; i++) { seed = seed * 1103515245 + 12345; data[i] = (char)(seed >> 16); }
}

static char *map(size_t length, int flags) {
  char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
  if (p == MAP_FAILED) { perror("mmap"); exit(1); }
  return p;
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  signal(SIGSEGV, on_fault);
  char *p = map(64 * PAGE, MAP_PRIVATE);
  fill(p, 64 * PAGE, 1);
  printf("filled %08x\n", checksum(p, 64 * PAGE));

  /* Protection toggled on pages that are in the translation cache. */
  int allowed = 0;
  for (int i = 0; i < 200; i++) {
    char *page = p + (i * 7 % 64) * PAGE;
    *page = *page;
    mprotect(page, PAGE, PROT_READ);
    allowed += may_write(page);
    mprotect(page, PAGE, PROT_NONE);
    allowed += may_read(page);
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    allowed += 1000 * may_write(page);
  }
  printf("protection: allowed %d faults %d, content %08x\n", allowed, faults, checksum(p, 64 * PAGE));

  char *moved = mremap(p, 64 * PAGE, 128 * PAGE, MREMAP_MAYMOVE);
  printf("grown %08x, new part %08x\n", checksum(moved, 64 * PAGE), checksum(moved + 64 * PAGE, 64 * PAGE));
  char *place = map(128 * PAGE, MAP_PRIVATE);
  char *fixed = mremap(moved, 128 * PAGE, 128 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
  printf("moved %d %08x, old place readable %d\n", fixed == place, checksum(fixed, 64 * PAGE), may_read(moved));
  fixed = mremap(fixed, 128 * PAGE, 32 * PAGE, 0);
  printf("shrunk %08x, cut part readable %d\n", checksum(fixed, 32 * PAGE), may_read(fixed + 40 * PAGE));
  madvise(fixed, 16 * PAGE, MADV_DONTNEED);
  printf("dropped %08x, kept %08x\n", checksum(fixed, 16 * PAGE), checksum(fixed + 16 * PAGE, 16 * PAGE));
  munmap(fixed, 32 * PAGE);

  /* The same place mapped anew again and again: never an old page. */
  int stale = 0;
  for (int i = 0; i < 300; i++) {
    char *q = mmap(place, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    stale += q[0] != 0 || q[PAGE] != 0;
    q[0] = q[PAGE] = (char)(i + 1);
    if (i % 3 == 0) munmap(q, 2 * PAGE);
  }
  printf("stale %d\n", stale);

  /* One file, two mappings, and write(). */
  FILE *file = tmpfile();
  ftruncate(fileno(file), 8 * PAGE);
  char *one = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
  char *two = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fileno(file), 0);
  char *copy = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);
  fill(one, 8 * PAGE, 7);
  copy[5 * PAGE] = 'c';
  pwrite(fileno(file), "written", 7, 3 * PAGE);
  fill(one + 5 * PAGE, PAGE, 9);
  printf("file %08x %08x, private copy %08x\n", checksum(one, 8 * PAGE), checksum(two, 8 * PAGE), checksum(copy, 8 * PAGE));

  /* A large range, touched here and there. */
  size_t large = (size_t)256 << 20;
  char *range = map(large, MAP_PRIVATE | MAP_NORESERVE);
  uint32_t sum = 0;
  for (size_t at = 0; at < large; at += 1 << 20) range[at + (at >> 8) % PAGE] = (char)(at >> 20);
  for (size_t at = 0; at < large; at += 1 << 20) sum = sum * 31 + (unsigned char)range[at + (at >> 8) % PAGE] + range[at + 2 * PAGE];
  printf("sparse %08x\n", sum);
  munmap(range, large);

  /* Copy on write: parent and children change the same pages and see only their own. */
  char *cow = map(256 * PAGE, MAP_PRIVATE), *shared = map(PAGE, MAP_SHARED);
  fill(cow, 256 * PAGE, 3);
  for (int child = 0; child < 4; child++) {
    if (fork() == 0) {
      for (int i = child; i < 256; i += 2) cow[i * PAGE + child] ^= 0x55;
      ((uint32_t *)shared)[child] = checksum(cow, 256 * PAGE);
      if (fork() == 0) { memset(cow, child, 128 * PAGE); ((uint32_t *)shared)[8 + child] = checksum(cow, 256 * PAGE); _exit(0); }
      wait(NULL);
      ((uint32_t *)shared)[16 + child] = checksum(cow, 256 * PAGE);
      _exit(0);
    }
    cow[child * PAGE] ^= 1;
  }
  while (wait(NULL) > 0) {}
  for (int i = 0; i < 20; i++) printf("%08x%s", ((uint32_t *)shared)[i], i % 4 == 3 ? "\n" : " ");
  printf("parent %08x\n", checksum(cow, 256 * PAGE));

  /* The kernel writes into pages of ours that are shared after a fork: read() must copy, too. */
  int ends[2];
  pipe(ends);
  write(ends[1], "from the pipe", 14);
  if (fork() == 0) { read(ends[0], cow + PAGE - 7, 14); printf("child read %s\n", cow + PAGE - 7); _exit(0); }
  wait(NULL);
  printf("parent still %08x\n", checksum(cow, 256 * PAGE));
  return 0;
}
