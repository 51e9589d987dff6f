/* The ping beside a load: OPTIONS on the upload address over one kept connection, every so often, until stdin ends.
 *
 *   ping --port P [--path /files/] [--every-ms 5]
 *
 * One line of JSON on stdout tells how many answers came and how long they took. A request that was due while an earlier
 * one was still unanswered counts from when it was due: a server that stands still for a second delays all of them. */

#include "http.h"

#include <getopt.h>
#include <poll.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    static const struct option known[] = {{"port", 1, 0, 'p'}, {"path", 1, 0, 'u'}, {"every-ms", 1, 0, 'e'}, {0, 0, 0, 0}};
    const char *path = "/files/";
    double every = 0.005, *times = NULL;
    size_t count = 0, room = 0;
    int port = 0;
    for (int each; (each = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (each) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'e': every = atof(optarg) / 1e3; break;
        default: fail("see the first lines of ping.c for the arguments");
        }
    if (port <= 0 || every <= 0) fail("--port and --every-ms are above 0");
    prctl(PR_SET_TIMERSLACK, 1UL);

    static Connection to;
    char head[1024];
    connection_open(&to, port);
    snprintf(head, sizeof head, "OPTIONS %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nTus-Resumable: 1.0.0\r\n\r\n", path, port);
    for (double due = now() + every;; due += every) {
        double start = now();
        struct timespec left = {0, due > start ? (long)((due - start) * 1e9) : 0};
        struct pollfd input = {.fd = 0, .events = POLLIN};
        if (left.tv_nsec >= 1000000000L) left = (struct timespec){left.tv_nsec / 1000000000L, left.tv_nsec % 1000000000L};
        if (ppoll(&input, 1, &left, NULL) > 0) break;
        if (start < due) start = now(); /* our own late waking is not the server's */
        else start = due;
        struct iovec piece = {head, strlen(head)};
        if (connection_send(&to, &piece, 1)) fail("ping: sending: %s", strerror(errno));
        Answer answer = connection_answer(&to, 0, "OPTIONS");
        if (answer.status != 200 && answer.status != 204) fail("OPTIONS %s: expected 200 or 204, got: %s", path, answer.first);
        if (count == room) times = realloc(times, (room = room ? room * 2 : 4096) * sizeof *times);
        if (!times) fail("ping: no memory");
        times[count++] = now() - start;
        if (!answer.close) continue;
        close(to.fd);
        connection_open(&to, port);
    }
    printf("{\"pings\": %zu, ", count);
    print_latencies("ping", times, count);
    puts("}");
    return 0;
}
