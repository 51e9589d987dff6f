/* What `slow.c` stands on: timers, and connections that are never waited for. */
#ifndef BENCH_SLOW_H
#define BENCH_SLOW_H
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PER_ADDRESS 20000 /* connections from one source address: it has some 28,000 ports */

typedef struct {
    int fd;                            /* -1: not connected */
    char out[512], in[2048];           /* the request's head, the answer's */
    size_t out_size, out_at, in_size;
} Link;

static int port, poller;
static double now; /* seconds: when this turn of the loop began */
static uint64_t seed = 88172645463325252u;

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static double chance(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (seed >> 11) / 9007199254740992.0;
}

/* Timers: a heap of who is to be woken when. One timer for each upload and each probe, the last for progress. */

static int *heap, *place, waiting; /* who waits, the soonest first; where in it somebody is, or -1 */
static double *due;

static void make_timers(int count)
{
    heap = calloc(count, sizeof *heap), place = calloc(count, sizeof *place), due = calloc(count, sizeof *due);
    for (int i = 0; i < count; i++) place[i] = -1;
}

static void swap(int a, int b)
{
    int who = heap[a];
    heap[a] = heap[b], heap[b] = who;
    place[heap[a]] = a, place[heap[b]] = b;
}

static void settle(int i)
{
    while (i > 0 && due[heap[i]] < due[heap[(i - 1) / 2]]) swap(i, (i - 1) / 2), i = (i - 1) / 2;
    for (int child; (child = 2 * i + 1) < waiting; i = child) {
        if (child + 1 < waiting && due[heap[child + 1]] < due[heap[child]]) child++;
        if (due[heap[child]] >= due[heap[i]]) break;
        swap(i, child);
    }
}

static void wake_at(int who, double when)
{
    due[who] = when;
    if (place[who] < 0) place[who] = waiting, heap[waiting++] = who;
    settle(place[who]);
}

static void wake_never(int who)
{
    int i = place[who];
    if (i < 0) return;
    swap(i, --waiting);
    place[who] = -1;
    if (i < waiting) settle(i);
}

/* Connections */

static void raise_limit(rlim_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) die("getrlimit");
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted) limit.rlim_max = wanted; /* root may */
    if (setrlimit(RLIMIT_NOFILE, &limit)) die("so many connections need a higher limit of open files");
}

static void link_close(Link *link)
{
    if (link->fd >= 0) close(link->fd);
    link->fd = -1;
}

static void link_open(Link *link, int who)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = who};
    int yes = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + who / PER_ADDRESS);
    link->out_size = link->out_at = link->in_size = 0;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) die("socket");
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(link->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(link->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    if (connect(link->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, link->fd, &event)) die("epoll_ctl");
}

/* Sends what is left of a request's head; 1: all of it is out, 0: the socket is full, -1: broken. */
static int link_flush(Link *link)
{
    while (link->out_at < link->out_size) {
        ssize_t n = send(link->fd, link->out + link->out_at, link->out_size - link->out_at, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
        link->out_at += n;
    }
    return 1;
}

static int link_say(Link *link, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    link->out_size = vsnprintf(link->out, sizeof link->out, format, values);
    link->out_at = 0;
    va_end(values);
    return link_flush(link);
}

/* Reads; the status of a whole answer's head (left in `in`, ended by NUL), 0: not yet, -1: broken. */
static int link_hear(Link *link)
{
    for (;;) {
        ssize_t n = recv(link->fd, link->in + link->in_size, sizeof link->in - 1 - link->in_size, 0);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) return -1;
        link->in_size += n;
        link->in[link->in_size] = 0;
        if (strstr(link->in, "\r\n\r\n")) return link->in_size = 0, atoi(link->in + 9);
    }
}

static const char *field(const char *head, const char *name)
{
    for (const char *line = head; (line = strstr(line, "\r\n")); ) {
        line += 2;
        if (!strncasecmp(line, name, strlen(name)) && line[strlen(name)] == ':') return line + strlen(name) + 1;
    }
    return NULL;
}

static long number(const char *head, const char *name, long otherwise)
{
    const char *value = field(head, name);
    return value ? atol(value) : otherwise;
}

static void keep_path(const char *head, char *path)
{
    const char *value = field(head, "location");
    if (!value) return;
    while (*value == ' ') value++;
    if (*value != '/' && (value = strstr(value, "//"))) value = strchr(value + 2, '/');
    if (value) snprintf(path, 96, "%.*s", (int)strcspn(value, "\r\n"), value);
}

/* Figures: kept one by one, told as percentiles. */

typedef struct {
    double *values;
    size_t count, room;
} Figures;

static void note(Figures *figures, double value)
{
    if (figures->count == figures->room) {
        figures->room = figures->room ? 2 * figures->room : 1024;
        figures->values = realloc(figures->values, figures->room * sizeof(double));
        if (!figures->values) die("realloc");
    }
    figures->values[figures->count++] = value;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_share(const Figures *sorted, double share)
{
    return sorted->count ? sorted->values[(size_t)((double)(sorted->count - 1) * share)] : 0;
}

static void print_figures(const char *name, Figures *figures)
{
    if (figures->count) qsort(figures->values, figures->count, sizeof(double), by_size);
    printf("\"%s\": {\"count\": %zu, \"p50\": %.6g, \"p99\": %.6g, \"max\": %.6g}, ", name, figures->count,
           at_share(figures, 0.5), at_share(figures, 0.99), at_share(figures, 1));
}
#endif
