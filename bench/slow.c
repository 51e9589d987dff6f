/* Many slow uploads at once, over tus, from one process with one epoll: a client of `bench/slow.py`.
 *
 *   slow PORT [-n uploads] [-b bytes each] [-r bytes a second each] [-w creations at once] [-q HEADs a second]
 *             [-i finished uploads] [-v uploads to read back] [-t seconds at most] [-s seed]
 *
 * Each upload has a connection of its own: POST, then one PATCH whose body trickles. The trickling begins when all of
 * them stand there with an open PATCH, so that all are slow at the same time; until then each sends a byte now and then.
 * Beside it HEAD is asked at a fixed rate, of random uploads under way (tus) and now and then of finished ones (IETF
 * protocol, in which a HEAD of one under way would end its transfer); its time counts from when it was due. A
 * connection that breaks, or an answer that is no success, is followed by a pause, a HEAD and a PATCH of the rest. At
 * the end some uploads are read back and compared.
 *
 * Progress goes to standard error, the outcome as one JSON object to standard output.
 */
#include "slow.h"

#include <getopt.h>

enum { PROBES = 16, TRIES = 20 };
#define HOLD 20.0     /* seconds between two bytes of an upload that waits for the others */
#define PATIENCE 90.0 /* seconds an answer may take */

typedef enum { UNBORN, CREATING, HELD, SENDING, ENDING, PAUSED, ASKING, DONE, FAILED } State;

typedef struct {
    Link link;
    State state;
    char path[96];
    long at, high, told; /* bytes: the next one to send, the most that were ever sent, the last offset a HEAD told */
    int tries;
    double since; /* when the answer that is waited for began to be due */
    double pace;  /* seconds between two pieces: each has its own, so that they do not all end at once */
} Upload;

typedef struct {
    Link link;
    int busy, ietf, target;
    long floor, sent; /* bytes: what a HEAD of this upload had told before, and what had been sent of it */
    double due;
} Probe;

static int uploads = 10000, window = 64, to_verify = 500, finished = 16;
static long bytes = 30 << 10, rate = 1024;
static double asked = 50, most = 600;
static int born, making, held, prepared, done, failed, open_gate;
static long cuts, cut_while[FAILED + 1], sent, sent_again, head_failed, head_wrong, statuses[600];
static double began, gate;
static char refusal[600]; /* the first answer that was no success, for people */
static Upload *all;
static Probe probes[PROBES];
static Figures creating, ending, tus_heads, early_heads, ietf_heads; /* seconds; early: before the first was done */
static Figures untold;                                  /* bytes that were sent before a HEAD and not told by it */

static char content(int upload, long offset) { return (char)(upload * 131 + offset * 29 + (offset >> 8) * 17); }

/* Uploads */

static void create(int who)
{
    Upload *u = &all[who];
    u->state = CREATING, u->since = now, making++;
    link_open(&u->link, who);
    link_say(&u->link, "POST /files/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %ld\r\n"
             "Content-Length: 0\r\n\r\n", bytes);
    wake_at(who, now + PATIENCE);
}

static void ask(int who)
{
    Upload *u = &all[who];
    u->state = ASKING;
    link_open(&u->link, who);
    link_say(&u->link, "HEAD %s HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n\r\n", u->path);
    wake_at(who, now + PATIENCE);
}

static void finish(int who, State how)
{
    all[who].state = how;
    if (who >= uploads) prepared++;
    else how == DONE ? done++ : failed++;
    link_close(&all[who].link);
    wake_never(who);
}

static void again(int who, double pause)
{
    Upload *u = &all[who];
    cuts++, cut_while[u->state]++;
    link_close(&u->link);
    held -= u->state == HELD, making -= u->state == CREATING;
    if (++u->tries > TRIES) {
        finish(who, FAILED);
        return;
    }
    u->state = PAUSED;
    wake_at(who, now + pause * (0.5 + chance()));
}

/* Sends `size` bytes of the body, the last of an upload too; the answer is due from then on. */
static void trickle(int who, long size)
{
    Upload *u = &all[who];
    char piece[1 << 16];
    int ready = link_flush(&u->link);
    if (size > bytes - u->at) size = bytes - u->at;
    if (size > (long)sizeof piece) size = sizeof piece;
    if (ready > 0) {
        for (long i = 0; i < size; i++) piece[i] = content(who, u->at + i);
        ssize_t n = send(u->link.fd, piece, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) ready = -1;
        if (n > 0) u->at += n, sent += n;
    }
    if (ready < 0) {
        again(who, 1);
        return;
    }
    if (u->at > u->high) u->high = u->at;
    if (u->at == bytes) u->state = ENDING, u->since = now, wake_at(who, now + PATIENCE);
}

static void patch(int who)
{
    Upload *u = &all[who];
    link_say(&u->link, "PATCH %s HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %ld\r\n"
             "Content-Type: application/offset+octet-stream\r\nContent-Length: %ld\r\n\r\n", u->path, u->at, bytes - u->at);
    u->state = open_gate || who >= uploads ? SENDING : HELD;
    held += u->state == HELD;
    wake_at(who, now + (u->state == HELD ? HOLD * (0.5 + chance()) : 0));
}

static void keep_refusal(Link *link)
{
    size_t size = strlen(link->in);
    if (refusal[0]) return;
    ssize_t more = recv(link->fd, link->in + size, sizeof link->in - 1 - size, 0); /* the body, if it is there already */
    if (more > 0) link->in[size + more] = 0;
    snprintf(refusal, sizeof refusal, "%s", link->in);
    for (char *c = refusal; *c; c++)
        if (*c < ' ' || *c == '"' || *c == '\\') *c = ' ';
}

static void answered(int who, int status)
{
    Upload *u = &all[who];
    statuses[status < 600 ? status : 0]++;
    double pause = number(u->link.in, "retry-after", 1);
    if (u->state == CREATING && status == 201) {
        note(&creating, now - u->since), making--;
        keep_path(u->link.in, u->path);
        patch(who);
    } else if (u->state == ENDING && status == 204) {
        note(&ending, now - u->since);
        finish(who, DONE);
    } else if (u->state == ASKING && status / 100 == 2) {
        long offset = number(u->link.in, "upload-offset", 0);
        if (offset < u->told || offset > u->high) head_wrong++;
        sent_again += u->high - offset;
        u->at = offset;
        u->at == bytes ? finish(who, DONE) : patch(who);
    } else {
        keep_refusal(&u->link);
        again(who, pause);
    }
}

static void upload_ready(int who)
{
    Upload *u = &all[who];
    if (u->link.fd < 0) return;
    int status = link_hear(&u->link);
    if (status > 0 && status < 200) return;
    if (status > 0)
        answered(who, status);
    else if (status < 0 || link_flush(&u->link) < 0)
        again(who, 1);
}

static void upload_due(int who)
{
    Upload *u = &all[who];
    switch (u->state) {
    case PAUSED:
        u->path[0] ? ask(who) : create(who);
        break;
    case HELD:
        trickle(who, 1);
        if (u->state == HELD) wake_at(who, now + HOLD);
        break;
    case SENDING:
        trickle(who, who < uploads ? rate : bytes);
        if (u->state == SENDING) wake_at(who, due[who] + u->pace);
        break;
    default:
        again(who, 1); /* an answer that does not come */
    }
}

/* HEADs beside it */

static void probe_ask(Probe *probe, int who)
{
    if (probe->link.fd < 0) link_open(&probe->link, who);
    Upload *u = &all[probe->target];
    const char *dialect = probe->ietf ? "Upload-Draft-Interop-Version: 8" : "Tus-Resumable: 1.0.0";
    link_say(&probe->link, "HEAD %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n", u->path, dialect);
    probe->busy = 1, probe->floor = u->told, probe->sent = u->at;
}

static void probe_due(int who)
{
    Probe *probe = &probes[who - uploads - finished];
    if (probe->busy) head_failed++, link_close(&probe->link);
    probe->ietf = finished && chance() < 0.1, probe->due = due[who];
    probe->target = probe->ietf ? uploads + (int)(chance() * finished) : (int)(chance() * uploads);
    for (int i = 0; !probe->ietf && i < uploads && all[probe->target].state != SENDING; i++)
        probe->target = (probe->target + 1) % uploads;
    probe_ask(probe, who);
    wake_at(who, now + PATIENCE);
}

static void probe_ready(int who)
{
    Probe *probe = &probes[who - uploads - finished];
    if (probe->link.fd < 0) return;
    int status = link_hear(&probe->link);
    if (status < 0) { /* an idle connection that the server closed, or a failure */
        link_close(&probe->link);
        if (probe->busy) head_failed++, probe->busy = 0, wake_at(who, now + 1);
        return;
    }
    if (link_flush(&probe->link) < 0 || status < 200 || !probe->busy) return;
    Upload *u = &all[probe->target];
    long offset = number(probe->link.in, "upload-offset", -1);
    if (status / 100 != 2)
        head_failed++, statuses[status < 600 ? status : 0]++;
    else if (offset < probe->floor || offset > u->high)
        head_wrong++;
    else if (offset > u->told)
        u->told = offset;
    if (!probe->ietf && status / 100 == 2) note(&untold, probe->sent > offset ? probe->sent - offset : 0);
    note(probe->ietf ? &ietf_heads : &tus_heads, now - probe->due);
    if (!probe->ietf && !done) note(&early_heads, now - probe->due);
    probe->busy = 0;
    double next = probe->due + PROBES / asked * (0.5 + chance());
    wake_at(who, next > now ? next : now);
}

/* The whole */

static void progress(void)
{
    fprintf(stderr, "%5.1f s: %d created, %d done, %d failed, %ld cut, %zu HEADs\n", now - began, born - making, done,
            failed, cuts, tus_heads.count + ietf_heads.count);
}

static void start_more(void)
{
    while (born < uploads + finished && making < window) create(born++);
    if (open_gate || held + done + failed < uploads || prepared < finished) return;
    open_gate = 1, gate = now;
    for (int who = 0; who < uploads; who++)
        if (all[who].state == HELD) all[who].state = SENDING, wake_at(who, now + chance());
    for (int i = 0; asked > 0 && i < PROBES; i++) wake_at(uploads + finished + i, now + chance() * PROBES / asked);
}

static void turn(int timer)
{
    struct epoll_event events[512];
    double pause = waiting ? due[heap[0]] - now : 1;
    int n = epoll_wait(poller, events, 512, pause <= 0 ? 0 : (int)(pause * 1000) + 1);
    now = clock_now();
    for (int i = 0; i < n; i++) {
        int who = events[i].data.u32;
        who < uploads + finished ? upload_ready(who) : probe_ready(who);
    }
    while (waiting && due[heap[0]] <= now) {
        int who = heap[0];
        wake_never(who);
        if (who == timer)
            progress(), wake_at(timer, now + 1);
        else
            who < uploads + finished ? upload_due(who) : probe_due(who);
    }
    start_more();
}

/* Reads an upload back over a blocking connection; 0 when every byte is right. */
static int is_wrong(int who)
{
    char request[256], in[1 << 16], *body = NULL;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), wrong = 1;
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", all[who].path);
    ssize_t n = 0, in_size = 0;
    long at = 0;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    if (send(fd, request, size, MSG_NOSIGNAL) != size) goto end;
    while (!body) {
        if (in_size == sizeof in - 1 || (n = recv(fd, in + in_size, sizeof in - 1 - in_size, 0)) <= 0) goto end;
        in_size += n, in[in_size] = 0;
        body = memmem(in, in_size, "\r\n\r\n", 4);
    }
    if (atoi(in + 9) != 200 || number(in, "content-length", -1) != bytes) goto end;
    for (n = in + in_size - (body += 4);; body = in) {
        for (ssize_t i = 0; i < n; i++)
            if (body[i] != content(who, at++)) goto end;
        if (at >= bytes) break;
        if ((n = recv(fd, in, sizeof in, 0)) <= 0) goto end;
    }
    wrong = at != bytes;
end:
    close(fd);
    return wrong;
}

static void print_outcome(double ended, int read_back, int wrong)
{
    static const char *const names[] = {[CREATING] = "while created", [HELD] = "while held back",
        [SENDING] = "while sent", [ENDING] = "while ended", [ASKING] = "while asked for the offset"};
    const char *comma = "";
    printf("{\"uploads\": %d, \"bytes\": %ld, \"done\": %d, \"failed\": %d, ", uploads, bytes, done, failed);
    printf("\"ramp_s\": %.3f, \"slow_s\": %.3f, ", gate ? gate - began : 0, gate ? ended - gate : 0);
    print_figures("creating_s", &creating);
    print_figures("ending_s", &ending);
    print_figures("tus_heads_s", &tus_heads);
    print_figures("early_heads_s", &early_heads);
    print_figures("ietf_heads_s", &ietf_heads);
    print_figures("untold_bytes", &untold);
    printf("\"heads_failed\": %ld, \"heads_wrong\": %ld, ", head_failed, head_wrong);
    printf("\"sent\": %ld, \"sent_again\": %ld, \"read_back\": %d, \"wrong\": %d, ", sent, sent_again, read_back, wrong);
    printf("\"refusal\": \"%s\", \"cuts\": {", refusal);
    for (int state = 0; state <= FAILED; state++)
        if (cut_while[state]) printf("%s\"%s\": %ld", comma, names[state], cut_while[state]), comma = ", ";
    printf("}, \"statuses\": {"), comma = "";
    for (int status = 0; status < 600; status++)
        if (statuses[status]) printf("%s\"%d\": %ld", comma, status, statuses[status]), comma = ", ";
    printf("}}\n");
}

int main(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "n:b:r:w:q:i:v:t:s:")) != -1;) {
        double value = optarg ? atof(optarg) : 0;
        switch (option) {
        case 'n': uploads = value; break;
        case 'b': bytes = value; break;
        case 'r': rate = value; break;
        case 'w': window = value; break;
        case 'q': asked = value; break;
        case 'v': to_verify = value; break;
        case 'i': finished = value; break;
        case 't': most = value; break;
        case 's': seed = (uint64_t)value * 2654435761u + 88172645463325252u; break;
        default: return 2;
        }
    }
    if (optind + 1 != argc || uploads < 1 || bytes < 1 || rate < 1 || window < 1 || finished < 0) {
        fputs("the first lines of slow.c tell the arguments\n", stderr);
        return 2;
    }
    port = atoi(argv[optind]);
    raise_limit(uploads + finished + PROBES + 32);
    int timer = uploads + finished + PROBES;
    all = calloc(uploads + finished, sizeof *all);
    make_timers(timer + 1);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < uploads + finished; i++) all[i].link.fd = -1, all[i].pace = 0.9 + 0.2 * chance();
    for (int i = 0; i < PROBES; i++) probes[i].link.fd = -1;
    began = now = clock_now();
    wake_at(timer, now + 1);
    while (done + failed < uploads && now < began + most) turn(timer);
    double ended = now;
    progress();
    for (int i = 0; i < PROBES; i++) link_close(&probes[i].link);
    int wrong = 0, read_back = 0;
    for (int i = 0; i < to_verify && i < uploads; i++) {
        int who = to_verify < uploads ? (int)(chance() * uploads) : i;
        if (all[who].state == DONE) read_back++, wrong += is_wrong(who);
    }
    print_outcome(ended, read_back, wrong);
    return done == uploads && !wrong ? 0 : 1;
}
