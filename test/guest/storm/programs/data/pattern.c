/*
 * Claim: bytes made from a number are the same bytes when they are read again
 *
 * What: pattern write NUMBER MIB (to standard output), pattern text NUMBER LINES, pattern sum (of standard input), pattern expect NUMBER MIB
 *   (the sum of what write would give, without writing it).
 * Why: hundreds of MiB lie in the guest's page cache while the frames below them move. Every fourth page is one of eight that come again
 *   and again, so that there is something to merge; all others are unique.
 * How it can tell: the sum depends on each word and on its place.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_WORDS = 512, PAGES_PER_MIB = 256, CHUNK_PAGES = 16 };
static uint64_t chunk[CHUNK_PAGES * PAGE_WORDS];

static uint64_t next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void fill(uint64_t *page, uint64_t number, uint64_t index) {
  uint64_t content = index % 4 == 3 ? index / 4 % 8 : (number << 32) + index + 8;
  uint64_t state = (content + 1) * 0x9e3779b97f4a7c15ull;
  for (int i = 0; i < PAGE_WORDS; i++) page[i] = next(&state);
}

static uint64_t add(uint64_t sum, const uint64_t *words, size_t count) {
  for (size_t i = 0; i < count; i++) sum = ((sum ^ words[i]) << 29 | (sum ^ words[i]) >> 35) * 0xff51afd7ed558ccdull;
  return sum;
}

/* All of `length` bytes, or the end of the program. */
static void put(const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t done = write(1, at, length);
    if (done <= 0) { perror("write"); exit(1); }
    at += done;
    length -= done;
  }
}

static size_t get(void *bytes, size_t length) {
  size_t total = 0;
  for (ssize_t done; total < length && (done = read(0, (char *)bytes + total, length - total)) > 0;) total += done;
  return total;
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "expect";
  uint64_t number = argc > 2 ? strtoull(argv[2], 0, 10) : 1, size = argc > 3 ? strtoull(argv[3], 0, 10) : 1;
  uint64_t sum = 0, state = number + 1;
  if (!strcmp(verb, "text")) {
    for (uint64_t i = 0; i < size; i++) printf("%07" PRIu64 " %016" PRIx64 "\n", i, next(&state));
    return 0;
  }
  if (!strcmp(verb, "sum")) {
    for (size_t length; (length = get(chunk, sizeof chunk)) > 0;) sum = add(sum, chunk, length / 8);
  } else {
    for (uint64_t page = 0; page < size * PAGES_PER_MIB; page += CHUNK_PAGES) {
      for (int i = 0; i < CHUNK_PAGES; i++) fill(chunk + i * PAGE_WORDS, number, page + i);
      if (!strcmp(verb, "write")) put(chunk, sizeof chunk);
      else sum = add(sum, chunk, CHUNK_PAGES * PAGE_WORDS);
    }
  }
  if (strcmp(verb, "write")) printf("%016" PRIx64 "\n", sum);
  return 0;
}
