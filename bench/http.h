/* As much HTTP/1.1 as the bench's programs need: send a request, read an answer, strictly, over a kept connection. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MOST 16384

typedef struct {
    int fd;
    int port;
    size_t held;          /* bytes in `buffer` that were received and not used yet */
    char buffer[HEAD_MOST];
} Connection;

typedef struct {
    int status;
    long long offset;     /* Upload-Offset, or -1 */
    long long length;     /* Upload-Length, or -1 */
    int close;            /* the server ends the connection after this answer */
    char location[2048];  /* the path of Location, or empty */
    char etag[128];       /* ETag without its quotes, or empty */
    char first[256];      /* the status line and the start of the body, for messages */
} Answer;

/* Says what was wrong on stderr and ends the program: a benchmark with an unexpected answer has no figure. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *form, ...)
{
    va_list rest;
    va_start(rest, form);
    flockfile(stderr);
    vfprintf(stderr, form, rest);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

static inline double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void connection_open(Connection *self, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    struct timeval patience = {.tv_sec = 120};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self->port = port;
    self->held = 0;
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->fd < 0 || connect(self->fd, (struct sockaddr *)&address, sizeof address))
        fail("cannot connect to 127.0.0.1:%d: %s", port, strerror(errno));
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(self->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/* Sends all of the pieces; 0, or -1 with errno when the server stopped reading. */
static int connection_send(Connection *self, struct iovec *pieces, size_t count)
{
    while (count) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        ssize_t sent = sendmsg(self->fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            return -1;
        }
        while (count && (size_t)sent >= pieces->iov_len) {
            sent -= (ssize_t)pieces->iov_len;
            pieces++, count--;
        }
        if (count) {
            pieces->iov_base = (char *)pieces->iov_base + sent;
            pieces->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

/* Receives more behind what is held; returns how much, 0 at the end of the connection. */
static size_t connection_more(Connection *self, const char *doing)
{
    ssize_t got;
    if (self->held == HEAD_MOST - 1) fail("%s: the answer's head is longer than %d bytes", doing, HEAD_MOST);
    do got = recv(self->fd, self->buffer + self->held, HEAD_MOST - 1 - self->held, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) fail("%s: no answer: %s", doing, errno == EAGAIN ? "nothing came for 120 s" : strerror(errno));
    self->held += (size_t)got;
    self->buffer[self->held] = 0;
    return (size_t)got;
}

static void connection_use(Connection *self, size_t count)
{
    self->held -= count;
    memmove(self->buffer, self->buffer + count, self->held);
    self->buffer[self->held] = 0;
}

/* Takes the next line out of a chunked body: its text goes to `line`. */
static void connection_line(Connection *self, char *line, size_t most, const char *doing)
{
    char *end;
    while (!(end = strstr(self->buffer, "\r\n")))
        if (!connection_more(self, doing)) fail("%s: the answer broke off", doing);
    snprintf(line, most, "%.*s", (int)(end - self->buffer), self->buffer);
    connection_use(self, (size_t)(end - self->buffer) + 2);
}

static void connection_skip(Connection *self, long long count, const char *doing)
{
    while (count > 0) {
        size_t step = self->held < (size_t)count ? self->held : (size_t)count;
        connection_use(self, step);
        count -= (long long)step;
        if (count > 0 && !connection_more(self, doing)) fail("%s: the answer broke off", doing);
    }
}

static void answer_field(Answer *self, const char *name, const char *value, long long *body, int *chunked)
{
    if (!strcasecmp(name, "content-length")) *body = atoll(value);
    else if (!strcasecmp(name, "transfer-encoding")) *chunked = !strcasecmp(value, "chunked");
    else if (!strcasecmp(name, "connection")) self->close = !strcasecmp(value, "close");
    else if (!strcasecmp(name, "upload-offset")) self->offset = atoll(value);
    else if (!strcasecmp(name, "upload-length")) self->length = atoll(value);
    else if (!strcasecmp(name, "etag")) {
        value += *value == '"';
        snprintf(self->etag, sizeof self->etag, "%.*s", (int)strcspn(value, "\""), value);
    }
    else if (!strcasecmp(name, "location")) {
        const char *host = strstr(value, "://"), *path = host ? strchr(host + 3, '/') : value;
        snprintf(self->location, sizeof self->location, "%s", path ? path : "/");
    }
}

/* Reads one final answer (1xx are skipped); `doing` names the request in messages. */
static Answer connection_answer(Connection *self, int to_head, const char *doing)
{
    for (;;) {
        Answer answer = {.offset = -1, .length = -1};
        long long body = 0;
        int chunked = 0;
        char *end, *line, *rest = NULL, copy[HEAD_MOST];
        while (!(end = strstr(self->buffer, "\r\n\r\n")) || !self->held)
            if (!connection_more(self, doing)) fail("%s: the server hung up without an answer", doing);
        memcpy(copy, self->buffer, (size_t)(end - self->buffer));
        copy[end - self->buffer] = 0;
        connection_use(self, (size_t)(end - self->buffer) + 4);
        line = strtok_r(copy, "\r\n", &rest);
        if (!line || sscanf(line, "HTTP/1.1 %d", &answer.status) != 1)
            fail("%s: not an HTTP/1.1 answer: %.80s", doing, line ? line : "");
        if (answer.status < 200) continue;
        snprintf(answer.first, sizeof answer.first, "%.120s", line);
        while ((line = strtok_r(NULL, "\r\n", &rest))) {
            char *value = strchr(line, ':');
            if (!value) continue;
            *value++ = 0;
            answer_field(&answer, line, value + strspn(value, " \t"), &body, &chunked);
        }
        if (to_head || answer.status == 204 || answer.status == 304) return answer;
        if (chunked || body) {
            size_t used = strlen(answer.first);
            if (!self->held) connection_more(self, doing);
            snprintf(answer.first + used, sizeof answer.first - used, " | %.100s", self->buffer);
        }
        if (chunked) {
            char size[256];
            long long many;
            do {
                connection_line(self, size, sizeof size, doing);
                many = strtoll(size, NULL, 16);
                connection_skip(self, many ? many + 2 : 0, doing);
            } while (many);
            do connection_line(self, size, sizeof size, doing);
            while (*size); /* trailers, then the empty line */
        } else
            connection_skip(self, body, doing);
        return answer;
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Prints "NAME_p50_ms", p99 and max of seconds; sorts them in place. */
static void print_latencies(const char *name, double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    double p50 = count ? values[count / 2] : 0, p99 = count ? values[(count * 99) / 100] : 0;
    printf("\"%s_p50_ms\": %.3f, \"%s_p99_ms\": %.3f, \"%s_max_ms\": %.3f", name, p50 * 1e3, name, p99 * 1e3, name,
           count ? values[count - 1] * 1e3 : 0);
}

#endif
