/* A disk under a process that writes down everything it is asked, so that a power cut at any moment can be computed.
 *
 * Preloaded (LD_PRELOAD) into a server, it stands between the program and the C library. What happens below the folder
 * POWER_ROOT goes through to the kernel and into the log POWER_LOG, in one order: one lock is held while a call is made
 * and written down. tests/power/oplog.py reads that log, tests/power/disk.py says what would be left of it.
 *
 * - A sync is logged when it begins and when it ends, since what is written meanwhile is not covered. It does not reach
 *   the kernel: the log knows what it means, and a sleep of up to POWER_DELAY microseconds is the disk's.
 * - What is sent to a client is logged too: the order of answers and syncs is what the whole thing is about.
 * - The page POWER_CONTROL tells it to let syncs fail, or to die (as by kill -9) at one of the next calls.
 * - What it cannot follow (a shared mapping that is written, a symbolic link, ...) is logged as such, and the run is void.
 * - POWER_BOOT stands for the kernel's boot id: after the cut, a server without this shim believes in a reboot.
 * - POWER_MOUNTS stands for /proc/self/mountinfo: what the folder is said to lie on decides how the server syncs.
 * - POWER_FOLDERS (1, 2 or 4): 16 random bytes, asked for at once, begin so that uploads share so many folders.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    CREATE = 1, WRITE, TRUNCATE, RENAME, UNLINK, MKDIR, RMDIR, LINK, SYNC, SYNCED, SEND, START, UNSUPPORTED, ATTRIBUTE
};
enum { UNKNOWN, OTHER, FILE_BELOW, FOLDER_BELOW, CLIENT };
enum { ONE_FILE, ONE_FOLDER, EVERYTHING, BYTES };
enum { DESCRIPTORS = 65536, PIECES = 1024 };

struct record { uint32_t size, kind; int64_t a, b, c; }; /* `size` bytes follow */

struct control {
    uint32_t die;  /* 1: at the next call, 2: at the one after it, ... */
    uint32_t one_in; /* so many matching syncs one fails, by chance; 0: none */
    uint32_t seen;   /* how many matching syncs there were */
    uint32_t failed;
    char match[240]; /* in their path */
};

#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile struct control *control;
static char root[PATH_MAX];
static const char *boot, *mounts;
static size_t root_length;
static int log_to = -1;
static int folders;
static unsigned delay;
static uint64_t chance;
static int64_t tokens;
static struct { uint8_t kind; uint64_t id; } known[DESCRIPTORS];

static ssize_t plain_writev(int fd, const struct iovec *pieces, int count) {
    NEXT(writev);
    return next(fd, pieces, count);
}

static int plain_open(const char *path, int flags, mode_t mode) {
    NEXT(open);
    return next(path, flags, mode);
}

static void give_up(const char *why) {
    dprintf(2, "power shim: %s: %s\n", why, strerror(errno));
    abort();
}

/* The log */

static void note(int kind, int64_t a, int64_t b, int64_t c, const struct iovec *data, int count, size_t size) {
    struct record head = {(uint32_t)size, (uint32_t)kind, a, b, c};
    struct iovec all[PIECES + 1] = {{&head, sizeof head}};
    int used = 1;
    for (int i = 0; i < count && size; i++) {
        size_t part = data[i].iov_len < size ? data[i].iov_len : size;
        if (part) all[used++] = (struct iovec){data[i].iov_base, part};
        size -= part;
    }
    for (int first = 0; first < used;) {
        ssize_t done = plain_writev(log_to, all + first, used - first);
        if (done < 0) give_up("cannot write the log");
        while (first < used && (size_t)done >= all[first].iov_len) done -= all[first++].iov_len;
        if (first < used) {
            all[first].iov_base = (char *)all[first].iov_base + done;
            all[first].iov_len -= done;
        }
    }
}

static void note_text(int kind, int64_t a, const char *text, size_t length) {
    struct iovec data = {(void *)text, length};
    note(kind, a, 0, 0, &data, 1, length);
}

static void note_two(int kind, const char *from, const char *to) {
    char text[2 * PATH_MAX];
    int length = snprintf(text, sizeof text, "%s%c%s", from, 0, to);
    note_text(kind, 0, text, length);
}

static void die_now(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int must_die(void) { return control && control->die && --control->die == 0; }

static void enter(void) {
    pthread_mutex_lock(&lock);
    if (must_die()) die_now();
}

static void leave(void) {
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
}

static unsigned roll(void) { return (chance = chance * 6364136223846793005u + 1442695040888963407u) >> 33; }

__attribute__((constructor)) static void start(void) {
    const char *folder = getenv("POWER_ROOT"), *file = getenv("POWER_LOG"), *page = getenv("POWER_CONTROL");
    if (!folder || !file || !page) return;
    snprintf(root, sizeof root, "%s", folder);
    boot = getenv("POWER_BOOT");
    mounts = getenv("POWER_MOUNTS");
    delay = getenv("POWER_DELAY") ? atoi(getenv("POWER_DELAY")) : 0;
    folders = getenv("POWER_FOLDERS") ? atoi(getenv("POWER_FOLDERS")) : 0;
    chance = getenv("POWER_SEED") ? strtoull(getenv("POWER_SEED"), NULL, 10) : 0;
    int shared = plain_open(page, O_RDWR | O_CLOEXEC, 0);
    if (shared < 0) give_up(page);
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (mapped == MAP_FAILED) give_up(page);
    close(shared);
    control = mapped;
    log_to = plain_open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log_to < 0) give_up(file);
    root_length = strlen(root);
    note(START, getpid(), 0, 0, NULL, 0, 0);
}

/* What a path or a descriptor stands for */

static int below(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* The absolute form of a path in `whole`; whether it lies below the root. */
static int resolve(int folder, const char *path, char *whole) {
    if (!root_length || !path) return 0;
    if (*path == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
        return below(whole);
    }
    char link[64], base[PATH_MAX];
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, base, sizeof base - 1);
    if (length < 0) return 0;
    base[length] = 0;
    if (snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    return below(whole);
}

static ssize_t path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length;
}

static void forget(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS) known[fd].kind = UNKNOWN;
}

static int kind_of(int fd, uint64_t *id) {
    if (!root_length || fd < 0 || fd == log_to) return OTHER;
    if (fd < DESCRIPTORS && known[fd].kind != UNKNOWN) {
        *id = known[fd].id;
        return known[fd].kind;
    }
    int error = errno, kind = OTHER;
    struct stat status;
    char path[PATH_MAX];
    if (fstat(fd, &status) < 0) {
        errno = error;
        return OTHER;
    }
    *id = status.st_ino;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        if (path_of(fd, path) > 0 && below(path)) kind = S_ISDIR(status.st_mode) ? FOLDER_BELOW : FILE_BELOW;
    } else if (S_ISSOCK(status.st_mode)) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        errno = 0;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0 || peer.sin_family != AF_INET) {
            errno = error;
            return OTHER; /* it may be connected later */
        }
        *id = ntohl(peer.sin_addr.s_addr);
        kind = CLIENT;
    }
    errno = error;
    if (fd < DESCRIPTORS) {
        known[fd].id = *id;
        known[fd].kind = kind;
    }
    return kind;
}

static void unsupported(const char *what) {
    enter();
    note_text(UNSUPPORTED, 0, what, strlen(what));
    leave();
}

/* Opening and closing */

static int opened(int folder, const char *path, int flags, mode_t mode) {
    NEXT(openat);
    char whole[PATH_MAX];
    if (boot && path && !strcmp(path, "/proc/sys/kernel/random/boot_id")) path = boot;
    if (mounts && path && !strcmp(path, "/proc/self/mountinfo")) path = mounts;
    if (!resolve(folder, path, whole)) {
        int fd = next(folder, path, flags, mode);
        forget(fd);
        return fd;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE) unsupported("O_TMPFILE");
    struct stat status;
    enter();
    int existed = lstat(whole, &status) == 0;
    int fd = next(folder, path, flags, mode);
    forget(fd);
    if (fd >= 0 && !existed && fstat(fd, &status) == 0) note_text(CREATE, status.st_ino, whole, strlen(whole));
    else if (fd >= 0 && flags & O_TRUNC) note(TRUNCATE, status.st_ino, 0, 0, NULL, 0, 0);
    leave();
    return fd;
}

#define MODE() \
    mode_t mode = 0; \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, int); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE() return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE() return opened(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE() return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE() return opened(folder, path, flags, mode); }
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int folder, const char *path, int flags) { return opened(folder, path, flags, 0); }
int __openat64_2(int folder, const char *path, int flags) { return opened(folder, path, flags, 0); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    NEXT(close);
    forget(fd);
    return next(fd);
}

int dup2(int from, int to) {
    NEXT(dup2);
    forget(to);
    return next(from, to);
}

int dup3(int from, int to, int flags) {
    NEXT(dup3);
    forget(to);
    return next(from, to, flags);
}

static int duplicated(int (*next)(int, int, ...), int fd, int command, void *value) {
    int got = next(fd, command, value);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) forget(got);
    return got;
}

#define VALUE() \
    va_list rest; \
    va_start(rest, command); \
    void *value = va_arg(rest, void *); \
    va_end(rest);

int fcntl(int fd, int command, ...) {
    NEXT(fcntl);
    VALUE()
    return duplicated(next, fd, command, value);
}

int fcntl64(int fd, int command, ...) {
    static int (*next)(int, int, ...);
    if (!next) next = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl64");
    VALUE()
    return duplicated(next, fd, command, value);
}

/* libuv closes without a call of close: what is new is told by the calls that make it. */
#define FRESH(name, types, values) \
    int name types { \
        NEXT(name); \
        int fd = next values; \
        forget(fd); \
        return fd; \
    }

FRESH(accept, (int from, struct sockaddr *peer, socklen_t *length), (from, peer, length))
FRESH(accept4, (int from, struct sockaddr *peer, socklen_t *length, int flags), (from, peer, length, flags))
FRESH(socket, (int domain, int type, int protocol), (domain, type, protocol))
FRESH(eventfd, (unsigned count, int flags), (count, flags))
FRESH(epoll_create1, (int flags), (flags))

#define FRESH_PAIR(name, types, values) \
    int name types { \
        NEXT(name); \
        int done = next values; \
        if (done == 0) forget(pair[0]), forget(pair[1]); \
        return done; \
    }

FRESH_PAIR(pipe, (int pair[2]), (pair))
FRESH_PAIR(pipe2, (int pair[2], int flags), (pair, flags))
FRESH_PAIR(socketpair, (int domain, int type, int protocol, int pair[2]), (domain, type, protocol, pair))

/* Writing to files, sending to clients */

static ssize_t put(int fd, const struct iovec *pieces, int count, int64_t offset) {
    NEXT(pwritev);
    uint64_t id = 0;
    int kind = kind_of(fd, &id);
    if (kind != FILE_BELOW && kind != CLIENT)
        return offset < 0 ? plain_writev(fd, pieces, count) : next(fd, pieces, count, offset);
    pthread_mutex_lock(&lock);
    int dying = must_die();
    struct iovec first;
    if (dying) { /* in the middle of this call */
        if (kind == CLIENT || !count) die_now();
        first = (struct iovec){pieces[0].iov_base, pieces[0].iov_len / 2};
        pieces = &first;
        count = 1;
    }
    int64_t at = offset;
    struct stat status;
    if (kind == FILE_BELOW && offset < 0) {
        at = lseek(fd, 0, SEEK_CUR);
        if (fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &status) == 0) at = status.st_size;
    }
    ssize_t done = offset < 0 ? plain_writev(fd, pieces, count) : next(fd, pieces, count, offset);
    if (done > 0 && kind == FILE_BELOW) note(WRITE, id, at, 0, pieces, count, done);
    if (done > 0 && kind == CLIENT) note(SEND, id, done, 0, NULL, 0, 0);
    if (dying) die_now();
    leave();
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec piece = {(void *)data, size};
    return put(fd, &piece, 1, -1);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) { return put(fd, pieces, count, -1); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    struct iovec piece = {(void *)data, size};
    return put(fd, &piece, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return pwrite(fd, data, size, offset); }
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) { return put(fd, pieces, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t offset) {
    return put(fd, pieces, count, offset);
}

ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags) {
    uint64_t id;
    if (flags && kind_of(fd, &id) == FILE_BELOW) unsupported("pwritev2 with flags");
    return put(fd, pieces, count, offset);
}

ssize_t pwritev64v2(int fd, const struct iovec *pieces, int count, off64_t offset, int flags) {
    return pwritev2(fd, pieces, count, offset, flags);
}

/* Make a call that sends something to a client, and write down how much. */
#define SENDING(call) \
    uint64_t id = 0; \
    if (kind_of(fd, &id) != CLIENT) return call; \
    enter(); \
    ssize_t done = call; \
    if (done > 0) note(SEND, id, done, 0, NULL, 0, 0); \
    leave(); \
    return done;

ssize_t send(int fd, const void *data, size_t size, int flags) {
    NEXT(send);
    SENDING(next(fd, data, size, flags))
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    NEXT(sendto);
    SENDING(next(fd, data, size, flags, to, length))
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    NEXT(sendmsg);
    SENDING(next(fd, message, flags))
}

ssize_t sendfile(int fd, int from, off_t *offset, size_t count) {
    NEXT(sendfile);
    uint64_t target;
    if (kind_of(fd, &target) == FILE_BELOW) unsupported("sendfile to a file");
    SENDING(next(fd, from, offset, count))
}

ssize_t sendfile64(int fd, int from, off64_t *offset, size_t count) { return sendfile(fd, from, offset, count); }

ssize_t splice(int from, off64_t *at, int fd, off64_t *offset, size_t count, unsigned flags) {
    NEXT(splice);
    uint64_t target;
    if (kind_of(fd, &target) == FILE_BELOW) unsupported("splice to a file");
    SENDING(next(from, at, fd, offset, count, flags))
}

ssize_t copy_file_range(int from, off64_t *at, int fd, off64_t *offset, size_t count, unsigned flags) {
    NEXT(copy_file_range);
    uint64_t id = 0;
    if (kind_of(fd, &id) != FILE_BELOW) return next(from, at, fd, offset, count, flags);
    enter();
    int64_t source = at ? *at : lseek(from, 0, SEEK_CUR), target = offset ? *offset : lseek(fd, 0, SEEK_CUR);
    ssize_t done = next(from, at, fd, offset, count, flags);
    if (done > 0) {
        struct iovec copy = {malloc(done), done};
        if (!copy.iov_base || pread(from, copy.iov_base, done, source) != done) give_up("cannot read what was copied");
        note(WRITE, id, target, 0, &copy, 1, done);
        free(copy.iov_base);
    }
    leave();
    return done;
}

/* Sizes */

int ftruncate(int fd, off_t length) {
    NEXT(ftruncate);
    uint64_t id = 0;
    if (kind_of(fd, &id) != FILE_BELOW) return next(fd, length);
    enter();
    int done = next(fd, length);
    if (done == 0) note(TRUNCATE, id, length, 0, NULL, 0, 0);
    leave();
    return done;
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int truncate(const char *path, off_t length) {
    NEXT(truncate);
    char whole[PATH_MAX];
    if (!resolve(AT_FDCWD, path, whole)) return next(path, length);
    struct stat status;
    enter();
    int done = next(path, length);
    if (done == 0 && stat(whole, &status) == 0) note(TRUNCATE, status.st_ino, length, 0, NULL, 0, 0);
    leave();
    return done;
}

int truncate64(const char *path, off64_t length) { return truncate(path, length); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
    NEXT(fallocate);
    uint64_t id = 0;
    if (kind_of(fd, &id) != FILE_BELOW) return next(fd, mode, offset, length);
    if (mode & ~FALLOC_FL_KEEP_SIZE) unsupported("fallocate");
    struct stat status;
    enter();
    int64_t before = fstat(fd, &status) == 0 ? status.st_size : 0;
    int done = next(fd, mode, offset, length);
    if (done == 0 && !mode && offset + length > before) note(TRUNCATE, id, offset + length, 0, NULL, 0, 0);
    leave();
    return done;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return fallocate(fd, 0, offset, length) ? errno : 0; }

/* Attributes */

static int known_below(int fd) {
    uint64_t id;
    int kind = kind_of(fd, &id);
    return kind == FILE_BELOW || kind == FOLDER_BELOW;
}

static int named_below(const char *path) {
    char whole[PATH_MAX];
    return resolve(AT_FDCWD, path, whole);
}

static void note_attribute(const struct stat *of, const char *name, int set, const void *value, size_t size) {
    static const char folder[] = "an attribute of a folder";
    struct iovec data[] = {{(void *)name, strlen(name) + 1}, {(void *)value, size}};
    if (S_ISDIR(of->st_mode)) note_text(UNSUPPORTED, 0, folder, strlen(folder));
    else note(ATTRIBUTE, of->st_ino, set, 0, data, 2, data[0].iov_len + size);
}

#define ATTRIBUTE_OF(call, types, values, where, inside, look, ...) \
    int call types { \
        NEXT(call); \
        if (!inside(where)) return next values; \
        struct stat status; \
        enter(); \
        int done = next values; \
        if (done == 0 && look(where, &status) == 0) note_attribute(&status, name, __VA_ARGS__); \
        leave(); \
        return done; \
    }

#define SETTING(call, type, where, inside, look) \
    ATTRIBUTE_OF(call, (type where, const char *name, const void *value, size_t size, int flags), \
                 (where, name, value, size, flags), where, inside, look, 1, value, size)

#define REMOVING(call, type, where, inside, look) \
    ATTRIBUTE_OF(call, (type where, const char *name), (where, name), where, inside, look, 0, NULL, 0)

SETTING(fsetxattr, int, fd, known_below, fstat)
SETTING(setxattr, const char *, path, named_below, stat)
SETTING(lsetxattr, const char *, path, named_below, lstat)
REMOVING(fremovexattr, int, fd, known_below, fstat)
REMOVING(removexattr, const char *, path, named_below, stat)
REMOVING(lremovexattr, const char *, path, named_below, lstat)

/* Names */

static int two_names(int from_folder, const char *from, int to_folder, const char *to, int kind, int flags) {
    NEXT(renameat2);
    static __typeof__(linkat) *link_next;
    if (!link_next) link_next = (__typeof__(linkat) *)dlsym(RTLD_NEXT, "linkat");
    char old[PATH_MAX], new[PATH_MAX];
    int inside = resolve(from_folder, from, old);
    inside += resolve(to_folder, to, new);
    if (inside == 1 || (inside && kind == RENAME && flags & ~RENAME_NOREPLACE)) unsupported("a rename or link");
    if (inside) enter();
    int done = kind == RENAME ? next(from_folder, from, to_folder, to, flags)
                              : link_next(from_folder, from, to_folder, to, flags);
    if (inside) {
        if (done == 0) note_two(kind, old, new);
        leave();
    }
    return done;
}

int rename(const char *from, const char *to) { return two_names(AT_FDCWD, from, AT_FDCWD, to, RENAME, 0); }
int renameat(int one, const char *from, int other, const char *to) {
    return two_names(one, from, other, to, RENAME, 0);
}
int renameat2(int one, const char *from, int other, const char *to, unsigned flags) {
    return two_names(one, from, other, to, RENAME, flags);
}
int link(const char *from, const char *to) { return two_names(AT_FDCWD, from, AT_FDCWD, to, LINK, 0); }
int linkat(int one, const char *from, int other, const char *to, int flags) {
    return two_names(one, from, other, to, LINK, flags);
}

int unlinkat(int folder, const char *path, int flags) {
    NEXT(unlinkat);
    char whole[PATH_MAX];
    if (!resolve(folder, path, whole)) return next(folder, path, flags);
    enter();
    int done = next(folder, path, flags);
    if (done == 0) note_text(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, whole, strlen(whole));
    leave();
    return done;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    NEXT(mkdirat);
    char whole[PATH_MAX];
    if (!resolve(folder, path, whole)) return next(folder, path, mode);
    struct stat status;
    enter();
    int done = next(folder, path, mode);
    if (done == 0 && lstat(whole, &status) == 0) note_text(MKDIR, status.st_ino, whole, strlen(whole));
    leave();
    return done;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int symlinkat(const char *target, int folder, const char *path) {
    NEXT(symlinkat);
    char whole[PATH_MAX];
    if (resolve(folder, path, whole)) unsupported("a symbolic link");
    return next(target, folder, path);
}

int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* Syncs */

static int refused(int fd) {
    char path[PATH_MAX];
    path_of(fd, path);
    if (!strstr(path, (const char *)control->match)) return 0;
    control->seen++;
    if (!control->one_in || roll() % control->one_in) return 0;
    control->failed++;
    return EIO;
}

static int synced(int fd, int what, uint64_t id) {
    enter();
    int64_t token = ++tokens;
    int error = refused(fd);
    unsigned wait = delay ? roll() % delay : 0;
    note(SYNC, id, token, what, NULL, 0, 0);
    leave();
    if (wait) usleep(wait);
    enter();
    note(SYNCED, id, token, error, NULL, 0, 0);
    leave();
    errno = error;
    return error ? -1 : 0;
}

#define SYNC_OF(name, of_file) \
    int name(int fd) { \
        NEXT(name); \
        uint64_t id = 0; \
        int kind = kind_of(fd, &id); \
        if (kind != FILE_BELOW && kind != FOLDER_BELOW) return next(fd); \
        return synced(fd, kind == FILE_BELOW ? of_file : ONE_FOLDER, id); \
    }

SYNC_OF(fsync, ONE_FILE)
SYNC_OF(fdatasync, BYTES)

int syncfs(int fd) {
    NEXT(syncfs);
    struct stat ours, theirs;
    if (!root_length || stat(root, &ours) < 0 || fstat(fd, &theirs) < 0 || ours.st_dev != theirs.st_dev) return next(fd);
    return synced(fd, EVERYTHING, 0);
}

void sync(void) {
    if (root_length) synced(-1, EVERYTHING, 0);
}

/* Memory, chance */

static void mapping(int protection, int flags, int fd) {
    uint64_t id = 0;
    char path[PATH_MAX];
    if ((flags & MAP_TYPE) != MAP_SHARED || !(protection & PROT_WRITE) || kind_of(fd, &id) != FILE_BELOW) return;
    ssize_t length = path_of(fd, path);
    if (length < 4 || strcmp(path + length - 4, "-shm")) unsupported("a shared mapping that is written");
}

void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset) {
    NEXT(mmap);
    mapping(protection, flags, fd);
    return next(where, length, protection, flags, fd, offset);
}

void *mmap64(void *where, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(where, length, protection, flags, fd, offset);
}

ssize_t getrandom(void *into, size_t length, unsigned flags) {
    NEXT(getrandom);
    ssize_t got = next(into, length, flags);
    if (folders && length == 16 && got == 16) {
        uint8_t *bytes = into;
        bytes[0] = 0;
        bytes[1] &= folders == 1 ? 0x3f : folders == 2 ? 0x7f : 0xff;
    }
    return got;
}
