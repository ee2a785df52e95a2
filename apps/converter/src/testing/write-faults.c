/*
 * Lets writing fail, or ends the process, at a moment that is known: loaded before the C library (LD_PRELOAD on Linux), it stands in front of
 * the calls that change files. What it is to do is told by environment variables:
 *
 *   WRITE_FAULTS_PATH   only files whose path contains this
 *   WRITE_FAULTS_CALL   "write", "sync", "place" (a file gets a name), "remove", or "any" of them and of those that resize and make folders
 *   WRITE_FAULTS_AFTER  bytes that are written before ("write"), or calls that are made before (all others)
 *   WRITE_FAULTS_ERROR  number of the error that every later call fails with; 0: the process is killed (SIGKILL), amidst a write
 *   WRITE_FAULTS_COUNT  file that gets the number of calls when the process ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITING = 1, SYNCING = 2, PLACING = 4, REMOVING = 8, OTHER = 16 };

static const char *wanted_path;
static const char *count_path;
static int wanted_kinds;
static long long after;
static int error_number;
static atomic_llong seen;

__attribute__((constructor)) static void begin(void) {
  const char *call = getenv("WRITE_FAULTS_CALL");
  const char *limit = getenv("WRITE_FAULTS_AFTER");
  const char *error = getenv("WRITE_FAULTS_ERROR");
  wanted_path = getenv("WRITE_FAULTS_PATH");
  count_path = getenv("WRITE_FAULTS_COUNT");
  if (wanted_path == NULL || call == NULL) return;
  if (strcmp(call, "write") == 0) wanted_kinds = WRITING;
  else if (strcmp(call, "sync") == 0) wanted_kinds = SYNCING;
  else if (strcmp(call, "place") == 0) wanted_kinds = PLACING;
  else if (strcmp(call, "remove") == 0) wanted_kinds = REMOVING;
  else wanted_kinds = WRITING | SYNCING | PLACING | REMOVING | OTHER;
  after = limit == NULL ? -1 : atoll(limit);
  error_number = error == NULL ? EIO : atoi(error);
}

__attribute__((destructor)) static void end(void) {
  if (count_path == NULL) return;
  FILE *file = fopen(count_path, "w");
  if (file == NULL) return;
  fprintf(file, "%lld", (long long)atomic_load(&seen));
  fclose(file);
}

static int is_wanted(enum kind kind, const char *path) {
  return (wanted_kinds & kind) != 0 && strstr(path, wanted_path) != NULL;
}

static int is_wanted_file(enum kind kind, int file) {
  if ((wanted_kinds & kind) == 0) return 0;
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_wanted(kind, path);
}

/* Whether a call other than a write may go on. */
static int passes(void) {
  long long before = atomic_fetch_add(&seen, 1);
  if (after < 0 || before < after) return 1;
  if (error_number == 0) raise(SIGKILL);
  errno = error_number;
  return 0;
}

/* How many bytes of a write may go out; -1 when it fails. Where calls are counted, the last one goes out by half. */
static ssize_t allowed(int file, size_t size) {
  if (!is_wanted_file(WRITING, file)) return (ssize_t)size;
  int by_bytes = wanted_kinds == WRITING;
  long long before = atomic_fetch_add(&seen, by_bytes ? (long long)size : 1);
  if (after < 0) return (ssize_t)size;
  if (by_bytes) {
    if (before + (long long)size <= after) return (ssize_t)size;
    if (before < after) return (ssize_t)(after - before);
  } else {
    if (before < after) return (ssize_t)size;
    if (before == after && size > 1) return (ssize_t)(size / 2);
  }
  if (error_number == 0) raise(SIGKILL);
  errno = error_number;
  return -1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define KILLS_BEHIND(size, part) (error_number == 0 && (size_t)(part) < (size))

/* A kill amidst a write: the first half is there. */
static ssize_t done(ssize_t result, size_t size, ssize_t part) {
  if (KILLS_BEHIND(size, part)) raise(SIGKILL);
  return result;
}

static size_t total(const struct iovec *parts, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += parts[i].iov_len;
  return size;
}

ssize_t write(int file, const void *bytes, size_t size) {
  ssize_t part = allowed(file, size);
  return part < 0 ? -1 : done(NEXT(write)(file, bytes, (size_t)part), size, part);
}

#define POSITIONED_WRITE(name, offset_type)                                                                  \
  ssize_t name(int file, const void *bytes, size_t size, offset_type offset) {                               \
    ssize_t part = allowed(file, size);                                                                      \
    return part < 0 ? -1 : done(NEXT(name)(file, bytes, (size_t)part, offset), size, part);                  \
  }
POSITIONED_WRITE(pwrite, off_t)
POSITIONED_WRITE(pwrite64, off64_t)

/* Of several parts that may not go out whole, some of the first one does. */
#define CUT(parts, count, part)                                                                              \
  struct iovec cut = {(parts)[0].iov_base, (size_t)(part)};                                                  \
  if (cut.iov_len > (parts)[0].iov_len) cut.iov_len = (parts)[0].iov_len;                                    \
  int is_cut = (size_t)(part) < total(parts, count)

ssize_t writev(int file, const struct iovec *parts, int count) {
  size_t size = total(parts, count);
  ssize_t part = allowed(file, size);
  if (part < 0) return -1;
  CUT(parts, count, part);
  return done(NEXT(writev)(file, is_cut ? &cut : parts, is_cut ? 1 : count), size, part);
}

#define POSITIONED_WRITEV(name, offset_type)                                                                 \
  ssize_t name(int file, const struct iovec *parts, int count, offset_type offset) {                         \
    size_t size = total(parts, count);                                                                       \
    ssize_t part = allowed(file, size);                                                                      \
    if (part < 0) return -1;                                                                                 \
    CUT(parts, count, part);                                                                                 \
    return done(NEXT(name)(file, is_cut ? &cut : parts, is_cut ? 1 : count, offset), size, part);            \
  }
POSITIONED_WRITEV(pwritev, off_t)
POSITIONED_WRITEV(pwritev64, off64_t)

int fsync(int file) {
  return is_wanted_file(SYNCING, file) && !passes() ? -1 : NEXT(fsync)(file);
}

int fdatasync(int file) {
  return is_wanted_file(SYNCING, file) && !passes() ? -1 : NEXT(fdatasync)(file);
}

int rename(const char *from, const char *to) {
  return is_wanted(PLACING, to) && !passes() ? -1 : NEXT(rename)(from, to);
}

int link(const char *from, const char *to) {
  return is_wanted(PLACING, to) && !passes() ? -1 : NEXT(link)(from, to);
}

int unlink(const char *path) {
  return is_wanted(REMOVING, path) && !passes() ? -1 : NEXT(unlink)(path);
}

int rmdir(const char *path) {
  return is_wanted(REMOVING, path) && !passes() ? -1 : NEXT(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
  return is_wanted(OTHER, path) && !passes() ? -1 : NEXT(mkdir)(path, mode);
}

int ftruncate(int file, off_t size) {
  return is_wanted_file(OTHER, file) && !passes() ? -1 : NEXT(ftruncate)(file, size);
}

int ftruncate64(int file, off64_t size) {
  return is_wanted_file(OTHER, file) && !passes() ? -1 : NEXT(ftruncate64)(file, size);
}
