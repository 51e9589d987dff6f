/* The floor: as little as a program can do that takes uploads, to measure servers against. It reads the socket and writes
 * the file, with one thread for each connection, and keeps what it knows about uploads in memory only.
 *
 *   floor --port P --dir DIR --sync none|each|overlap|bounded
 *
 *   none     nothing is synced
 *   each     no answer before what it tells is on the disk: fsync of the folder after POST, fdatasync after the bytes
 *   overlap  the same promise; write-back is started and syncs are done in a second thread beside the writing
 *   bounded  the same, and as with Ferryman a power cut costs no more than 8 MiB: the writing waits for the syncs
 *
 * It speaks just enough HTTP and tus to be driven by load.c and ping.c, and trusts them. */

#include "http.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>

#define UPLOADS_MOST (1 << 20)
#define PIECE (1 << 20)
#define AHEAD (1 << 20)        /* write-back of so many bytes is started at a time */
#define AT_RISK (8LL << 20)    /* as Ferryman: a power cut costs about so much, or no more */
#define LONG_BODY (4LL << 20)  /* below, a second thread costs more than it overlaps */

static enum { NONE, EACH, OVERLAP, BOUNDED } mode = NONE;
static long long sync_every = AT_RISK;
static int folder;
static struct { long long length; atomic_llong offset; } uploads[UPLOADS_MOST];
static atomic_int uploads_known;

typedef struct {
    int file;
    long long written, synced;
    int ended;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} Progress;

/* The second thread of `overlap` and `bounded`: follows the writer with syncs, so that little is left for the last one. */
static void *follow(void *argument)
{
    Progress *self = argument;
    long long begun = self->synced; /* not what is written: that may be ahead when this thread comes late */
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        while (!self->ended && self->written - begun < sync_every) pthread_cond_wait(&self->changed, &self->mutex);
        if (self->ended) break;
        begun = self->written;
        pthread_mutex_unlock(&self->mutex);
        if (fdatasync(self->file)) fail("floor: fdatasync: %s", strerror(errno));
        pthread_mutex_lock(&self->mutex);
        self->synced = begun;
        pthread_cond_broadcast(&self->changed);
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

/* Waits until the file may reach so far. */
static void make_room(Progress *self, long long reach)
{
    pthread_mutex_lock(&self->mutex);
    while (reach - self->synced > AT_RISK) pthread_cond_wait(&self->changed, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}

static void store(int file, const char *from, size_t count, long long at)
{
    while (count) {
        ssize_t step = pwrite(file, from, count, at);
        if (step < 0) fail("floor: writing: %s", strerror(errno));
        from += step, at += step, count -= (size_t)step;
    }
}

/* Moves `count` bytes of the body from the connection into the file. */
static void pour(Connection *from, int file, long long offset, long long count)
{
    static _Thread_local char piece[PIECE];
    Progress progress = {.file = file, .written = offset, .synced = offset};
    int followed = (mode == OVERLAP || mode == BOUNDED) && count >= LONG_BODY;
    long long end = offset + count, started = offset, told = offset;
    pthread_t follower;
    size_t held = from->held < (size_t)count ? from->held : (size_t)count;
    if (followed) {
        pthread_mutex_init(&progress.mutex, NULL);
        pthread_cond_init(&progress.changed, NULL);
        if (pthread_create(&follower, NULL, follow, &progress)) fail("floor: no second thread");
    }
    store(file, from->buffer, held, offset);
    connection_use(from, held);
    offset += (long long)held;
    while (offset < end) {
        size_t room = end - offset < PIECE ? (size_t)(end - offset) : PIECE;
        ssize_t got = recv(from->fd, piece, room, 0);
        if (got <= 0) fail("floor: a body broke off");
        if (followed && mode == BOUNDED) make_room(&progress, offset + got);
        store(file, piece, (size_t)got, offset);
        offset += got;
        if (!followed) continue;
        if (offset - started >= AHEAD) {
            sync_file_range(file, started, offset - started, SYNC_FILE_RANGE_WRITE);
            started = offset;
        }
        if (offset - told >= sync_every) {
            pthread_mutex_lock(&progress.mutex);
            progress.written = told = offset;
            pthread_cond_broadcast(&progress.changed);
            pthread_mutex_unlock(&progress.mutex);
        }
    }
    if (followed) {
        pthread_mutex_lock(&progress.mutex);
        progress.ended = 1;
        pthread_cond_broadcast(&progress.changed);
        pthread_mutex_unlock(&progress.mutex);
        pthread_join(follower, NULL);
    }
    if (mode != NONE && fdatasync(file)) fail("floor: fdatasync: %s", strerror(errno));
}

static int file_of(int id, int flags)
{
    char name[32];
    snprintf(name, sizeof name, "%d", id);
    int file = openat(folder, name, O_WRONLY | O_CLOEXEC | flags, 0600);
    if (file < 0) fail("floor: cannot open upload %d: %s", id, strerror(errno));
    return file;
}

static int create(Connection *from, long long length, long long body)
{
    int id = atomic_fetch_add(&uploads_known, 1);
    if (id >= UPLOADS_MOST) fail("floor: more than %d uploads", UPLOADS_MOST);
    int file = file_of(id, O_CREAT | O_EXCL);
    uploads[id].length = length;
    if (body) {
        pour(from, file, 0, body);
        atomic_store(&uploads[id].offset, body);
    }
    close(file);
    if (mode != NONE && fsync(folder)) fail("floor: fsync of the folder: %s", strerror(errno));
    return id;
}

static void reply(Connection *to, const char *status, const char *fields, const char *body)
{
    char text[1024];
    struct iovec piece = {text, (size_t)snprintf(text, sizeof text,
        "HTTP/1.1 %s\r\nTus-Resumable: 1.0.0\r\n%s%s\r\n%s", status, fields, *body ? body : "", "")};
    connection_send(to, &piece, 1);
}

typedef struct {
    char method[16], path[256];
    long long body, offset, length;
} Request;

/* Reads one head; 0 when the client hung up instead. */
static int next_request(Connection *from, Request *request)
{
    char *end, *line, *rest = NULL, copy[HEAD_MOST];
    while (!from->held || !(end = strstr(from->buffer, "\r\n\r\n"))) {
        ssize_t got = recv(from->fd, from->buffer + from->held, HEAD_MOST - 1 - from->held, 0);
        if (got <= 0) return 0;
        from->held += (size_t)got;
        from->buffer[from->held] = 0;
    }
    *request = (Request){.offset = -1, .length = -1};
    memcpy(copy, from->buffer, (size_t)(end - from->buffer));
    copy[end - from->buffer] = 0;
    connection_use(from, (size_t)(end - from->buffer) + 4);
    line = strtok_r(copy, "\r\n", &rest);
    if (!line || sscanf(line, "%15s %255s", request->method, request->path) != 2) return 0;
    while ((line = strtok_r(NULL, "\r\n", &rest))) {
        if (!strncasecmp(line, "content-length:", 15)) request->body = atoll(line + 15);
        else if (!strncasecmp(line, "upload-offset:", 14)) request->offset = atoll(line + 14);
        else if (!strncasecmp(line, "upload-length:", 14)) request->length = atoll(line + 14);
    }
    return 1;
}

static void serve_request(Connection *from, const Request *request)
{
    char fields[256];
    if (!strcmp(request->method, "POST")) {
        int id = create(from, request->length, request->body);
        snprintf(fields, sizeof fields, "Location: /files/%d\r\nUpload-Offset: %lld\r\nContent-Length: 0\r\n", id,
                 request->body);
        reply(from, "201 Created", fields, "");
        return;
    }
    if (!strcmp(request->method, "OPTIONS")) {
        reply(from, "204 No Content", "", "");
        return;
    }
    const char *name = strrchr(request->path, '/');
    int id = name ? atoi(name + 1) : -1;
    if (id < 0 || id >= atomic_load(&uploads_known)) {
        reply(from, "404 Not Found", "Content-Length: 0\r\n", "");
    } else if (!strcmp(request->method, "HEAD")) {
        snprintf(fields, sizeof fields, "Upload-Offset: %lld\r\nUpload-Length: %lld\r\nContent-Length: 0\r\n",
                 atomic_load(&uploads[id].offset), uploads[id].length);
        reply(from, "200 OK", fields, "");
    } else if (!strcmp(request->method, "PATCH") && request->offset == atomic_load(&uploads[id].offset)) {
        int file = file_of(id, 0);
        pour(from, file, request->offset, request->body);
        close(file);
        atomic_fetch_add(&uploads[id].offset, request->body);
        snprintf(fields, sizeof fields, "Upload-Offset: %lld\r\n", request->offset + request->body);
        reply(from, "204 No Content", fields, "");
    } else {
        reply(from, "409 Conflict", "Connection: close\r\nContent-Length: 0\r\n", "");
    }
}

static void *serve(void *argument)
{
    Connection *from = argument;
    Request request;
    while (next_request(from, &request)) serve_request(from, &request);
    close(from->fd);
    free(from);
    return NULL;
}

static int listen_at(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024))
        fail("floor: cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
    return listener;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"port", 1, 0, 'p'}, {"dir", 1, 0, 'd'}, {"sync", 1, 0, 's'}, {0, 0, 0, 0}};
    const char *place = ".", *sync = "none";
    int port = 0, on = 1;
    for (int each; (each = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (each) {
        case 'p': port = atoi(optarg); break;
        case 'd': place = optarg; break;
        case 's': sync = optarg; break;
        default: fail("see the first lines of floor.c for the arguments");
        }
    mode = !strcmp(sync, "none") ? NONE : !strcmp(sync, "each") ? EACH : !strcmp(sync, "overlap") ? OVERLAP : BOUNDED;
    if (mode == BOUNDED) sync_every = AT_RISK / 2; /* early enough that the writing seldom waits */
    if ((folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) fail("floor: no folder %s", place);
    for (int listener = listen_at(port);;) {
        pthread_t thread;
        Connection *from = calloc(1, sizeof *from);
        if (!from || (from->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) fail("floor: accept: %s", strerror(errno));
        setsockopt(from->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve, from)) fail("floor: no thread for a connection");
        pthread_detach(thread);
    }
}
