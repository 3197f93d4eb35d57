/*
 * A disk that fails, for a process that has this library preloaded: reads and writes at a place of the file UNPINNED_FAILING_FILE end with
 * EIO while a file of that name and ".no-read", ".no-write" is there. Everything else is handed on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int descriptor, const char *ending) {
  const char *path = getenv("UNPINNED_FAILING_FILE");
  char mark[4096];
  struct stat file, used;
  if (path == NULL) return 0;
  snprintf(mark, sizeof mark, "%s%s", path, ending);
  if (access(mark, F_OK) != 0 || stat(path, &file) != 0 || fstat(descriptor, &used) != 0) return 0;
  if (file.st_dev != used.st_dev || file.st_ino != used.st_ino) return 0;
  errno = EIO;
  return 1;
}

#define HAND_ON(name, buffer) \
  static ssize_t (*next)(int, buffer, size_t, off_t); \
  if (next == NULL) next = (ssize_t (*)(int, buffer, size_t, off_t))dlsym(RTLD_NEXT, name); \
  return next(descriptor, bytes, length, offset)

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
  if (fails(descriptor, ".no-write")) return -1;
  HAND_ON("pwrite", const void *);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off_t offset) {
  if (fails(descriptor, ".no-write")) return -1;
  HAND_ON("pwrite64", const void *);
}

ssize_t pread(int descriptor, void *bytes, size_t length, off_t offset) {
  if (fails(descriptor, ".no-read")) return -1;
  HAND_ON("pread", void *);
}

ssize_t pread64(int descriptor, void *bytes, size_t length, off_t offset) {
  if (fails(descriptor, ".no-read")) return -1;
  HAND_ON("pread64", void *);
}
