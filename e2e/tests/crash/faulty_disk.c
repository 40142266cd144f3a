// A disk that fails on command, or remembers what a power cut would lose: preloaded into the bank, this takes the place
// of the calls that open, write and sync.
//
// $FAULTY_DISK_CONTROL names a file of five numbers of 32 bits that the test writes and this reads through memory: what
// fails, on which file, how many such calls succeed before that, how many fail then, and how many have failed. Only what
// lies in $FAULTY_DISK_FOLDER fails.
//
// $FAULTY_DISK_JOURNAL names a file that takes a record of each change to the database, its log and the bank's journal:
// what was there before. One more record tells that everything before a place in the journal was synced.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum fault { NOTHING, SYNC_FAILS, WRITE_FAILS, NO_ROOM, LITTLE_ROOM, READ_ONLY };
// The files of the journal are counted from JOURNAL on, and fail together.
enum file { ANY, DATABASE, LOG, JOURNAL };

// A sync has a place in the journal, and a change has none: it has the size of the file and the bytes that were there
// before, which follow, and how many were written.
struct record { int64_t file, synced, size, offset, written, bytes; };

static volatile struct { int32_t fault, file, before, times, failed; } *control;
static const char *folder;
static int journal = -1;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTY_DISK_CONTROL"), *kept = getenv("FAULTY_DISK_JOURNAL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (kept) journal = open(kept, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    folder = getenv("FAULTY_DISK_FOLDER");
    if (folder && memory != MAP_FAILED) control = memory;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int failed(int error) {
    errno = error;
    return -1;
}

// Which file of the data directory it is; -1 if it lies elsewhere.
static int file_at(const char *path) {
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) || (path[length] && path[length] != '/')) return -1;
    const char *name = path + length, *slot = "/journal-";
    if (!strncmp(name, slot, strlen(slot))) return JOURNAL + atoi(name + strlen(slot));
    return !strcmp(name, "/bank.sqlite3") ? DATABASE : !strcmp(name, "/bank.sqlite3-wal") ? LOG : ANY;
}

static int file_of(int fd) {
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return file_at(path);
}

static int fails(enum fault fault, int file) {
    int kind = file > JOURNAL ? JOURNAL : file;
    if (file < 0 || control->fault != (int32_t)fault || (control->file != ANY && control->file != kind)) return 0;
    if (__sync_fetch_and_sub(&control->before, 1) > 0 || __sync_fetch_and_sub(&control->times, 1) <= 0) return 0;
    __sync_fetch_and_add(&control->failed, 1);
    return 1;
}

static int fails_on(enum fault fault, int fd) {
    return control && control->fault == (int32_t)fault && fails(fault, file_of(fd));
}

// The file, if its changes are noted.
static int noted(int fd) {
    int file = journal < 0 || !control ? ANY : file_of(fd);
    return file < 0 ? ANY : file;
}

static void enter(struct record *record) {
    if (NEXT(write)(journal, record, sizeof *record + record->bytes) < 0) abort();
}

// Notes what is about to be replaced or cut off.
static void note(int file, int fd, off64_t offset, size_t bytes, size_t written) {
    struct stat64 now;
    if (fstat64(fd, &now)) abort();
    size_t there = offset < now.st_size ? now.st_size - offset : 0;
    size_t old = bytes < there ? bytes : there;
    struct record *record = malloc(sizeof *record + old);
    *record = (struct record){file, -1, now.st_size, offset, written, old};
    // By its path once more, as it may be open for writing only.
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reading = NEXT(open64)(link, O_RDONLY | O_CLOEXEC);
    if (reading < 0 || pread64(reading, record + 1, old, offset) != (ssize_t)old) abort();
    close(reading);
    enter(record);
    free(record);
}

static int sync_by(int (*next)(int), int fd) {
    int file = noted(fd);
    struct record record = {file, file ? lseek64(journal, 0, SEEK_END) : 0, 0, 0, 0, 0};
    int result = fails_on(SYNC_FAILS, fd) ? failed(EIO) : next(fd);
    if (file && !result) enter(&record);
    return result;
}

int fsync(int fd) { return sync_by(NEXT(fsync), fd); }
int fdatasync(int fd) { return sync_by(NEXT(fdatasync), fd); }

// How many bytes may be written: all, some of them, or none and errno says why.
static ssize_t room(int fd, size_t bytes) {
    if (fails_on(WRITE_FAILS, fd)) return failed(EIO);
    if (fails_on(NO_ROOM, fd)) return failed(ENOSPC);
    if (!fails_on(LITTLE_ROOM, fd)) return bytes;
    return bytes > 1 ? (ssize_t)(bytes / 2) : failed(ENOSPC);
}

// A change and its note are one step, so that the journal has the order of the changes.
#define NOTED(fd, offset, bytes, written, change) \
    int file = noted(fd); \
    if (!file) return change; \
    pthread_mutex_lock(&turn); \
    note(file, fd, offset, bytes, written); \
    __typeof__(change) result = change; \
    pthread_mutex_unlock(&turn); \
    return result

ssize_t write(int fd, const void *from, size_t bytes) {
    ssize_t most = room(fd, bytes);
    if (most < 0) return most;
    NOTED(fd, lseek64(fd, 0, SEEK_CUR), most, most, NEXT(write)(fd, from, most));
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t offset) {
    ssize_t most = room(fd, bytes);
    if (most < 0) return most;
    NOTED(fd, offset, most, most, NEXT(pwrite64)(fd, from, most, offset));
}

int ftruncate64(int fd, off64_t size) {
    NOTED(fd, size, SSIZE_MAX, 0, NEXT(ftruncate64)(fd, size));
}

#define WRITES (O_WRONLY | O_RDWR | O_CREAT)
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return (flags & WRITES) && control && fails(READ_ONLY, file_at(path)) ? failed(EROFS) : NEXT(name)(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)
