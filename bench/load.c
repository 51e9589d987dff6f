/* The load client: creates uploads over tus 1.0 and sends their bytes from memory; it costs the machine little.
 *
 *   load --port P [--path /files/] --count N --size BYTES [--patch BYTES] [--connections C] [--with-creation]
 *        [--body FILE] [--coding NAME]
 *   load --port P --heads FILE --count N [--connections C]
 *   load --port P --puts FILE --etags FILE --count N [--connections C] [--body FILE]
 *
 * N uploads of SIZE bytes go over C kept connections, each in PATCHes of at most PATCH bytes (default: one), or with
 * the POST itself (--with-creation). The bytes are FILE repeated (without FILE: a fixed pattern). With --coding the body
 * is FILE as it is, once, under that Content-Encoding, and SIZE is its decoded length. --heads asks for the uploads
 * whose paths FILE names, in a scattered order, instead. --puts speaks S3 and not tus: each line of FILE is an offset, a
 * size and a path that was signed beforehand, perhaps a field with their checksum, and PUT sends those bytes of the body
 * there; the answers' ETags are written to the other file, line by line.
 *
 * One line of JSON on stdout tells the result. Afterwards, outside the timing, HEAD asks for up to 256 of what was uploaded
 * over tus.
 * Every answer is judged: the first that is not the right one ends the program, with exit code 1 and a sentence. */

#include "http.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define PIECE (1 << 20)
#define ASKED_AGAIN 256

static struct {
    int port, connections, with_creation;
    const char *path, *coding, *heads, *puts, *etags;
    long long count, size, patch;
} want = {.connections = 1, .path = "/files/", .count = 1};

static char *body;            /* PIECE bytes at any place below `period` can be read: it is stored with a repeat */
static size_t period;
static char **paths;          /* of every upload, once it was created; of every PUT */
static struct { long long offset, size; char etag[128], field[80]; } *puts_known;
static double *upload_times, *request_times;
static size_t requests_most;
static atomic_llong next_upload;
static atomic_size_t requests_done;
static atomic_int reconnects;
static pthread_barrier_t ready;
static double began;

static void make_body(const char *file)
{
    size_t size = PIECE;
    if (file) {
        struct stat known;
        int fd = open(file, O_RDONLY);
        if (fd < 0 || fstat(fd, &known) || known.st_size == 0) fail("cannot read the body %s", file);
        size = (size_t)known.st_size;
        body = malloc(size + PIECE);
        for (size_t got = 0; body && got < size;) {
            ssize_t step = read(fd, body + got, size - got);
            if (step <= 0) fail("cannot read the body %s", file);
            got += (size_t)step;
        }
        close(fd);
    } else {
        unsigned long long seed = 88172645463325252ULL;
        body = malloc(size + PIECE);
        for (size_t at = 0; body && at < size; at += sizeof seed) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            memcpy(body + at, &seed, sizeof seed);
        }
    }
    if (!body) fail("no memory for a body of %zu bytes", size);
    for (size_t at = size; at < size + PIECE; at++) body[at] = body[at - size];
    period = size;
}

static void note_request(double seconds)
{
    size_t at = atomic_fetch_add(&requests_done, 1);
    if (at < requests_most) request_times[at] = seconds;
}

/* Sends a head and `count` bytes of the upload from `offset`, and reads the answer. */
static Answer ask(Connection *to, const char *head, long long offset, long long count, int to_head, const char *doing)
{
    struct iovec pieces[2] = {{.iov_base = (char *)head, .iov_len = strlen(head)}};
    double start = now();
    do {
        size_t step = count < PIECE ? (size_t)count : PIECE, with_head = pieces[0].iov_len > 0;
        pieces[with_head] = (struct iovec){body ? body + (size_t)offset % period : NULL, step};
        if (connection_send(to, pieces, with_head + (step > 0))) {
            int why = errno; /* a refusal may have come before the server stopped reading */
            char peek;
            if (recv(to->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) fail("%s: sending: %s", doing, strerror(why));
            break;
        }
        pieces[0].iov_len = 0;
        offset += (long long)step, count -= (long long)step;
    } while (count > 0);
    Answer answer = connection_answer(to, to_head, doing);
    note_request(now() - start);
    if (answer.close) {
        close(to->fd);
        connection_open(to, to->port);
        atomic_fetch_add(&reconnects, 1);
    }
    return answer;
}

static void expect(const Answer *got, int status, long long offset, const char *doing)
{
    if (got->status != status) fail("%s: expected %d, got: %s", doing, status, got->first);
    if (offset >= 0 && got->offset != offset) fail("%s: expected Upload-Offset %lld, got %lld", doing, offset, got->offset);
}

static void upload(Connection *to, long long index)
{
    char head[4096], doing[2300], coding[64] = "", kind[64] = "";
    long long whole = want.coding ? (long long)period : want.size; /* bytes on the wire */
    if (want.coding) snprintf(coding, sizeof coding, "Content-Encoding: %s\r\n", want.coding);
    if (want.with_creation) snprintf(kind, sizeof kind, "Content-Type: application/offset+octet-stream\r\n");
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %lld\r\n"
             "Upload-Metadata: filename dS5iaW4=,filetype YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt\r\n"
             "%s%sContent-Length: %lld\r\n\r\n",
             want.path, want.port, want.size, kind, want.with_creation ? coding : "", want.with_creation ? whole : 0);
    snprintf(doing, sizeof doing, "POST %.200s (upload %lld)", want.path, index);
    Answer answer = ask(to, head, 0, want.with_creation ? whole : 0, 0, doing);
    expect(&answer, 201, want.with_creation ? want.size : -1, doing);
    if (!*answer.location || strpbrk(answer.location, "\"\\")) fail("%s: 201 without a usable Location", doing);
    paths[index] = strdup(answer.location);
    if (want.with_creation) return;
    for (long long offset = 0; offset < whole;) {
        long long step = whole - offset < want.patch ? whole - offset : want.patch;
        snprintf(head, sizeof head,
                 "PATCH %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %lld\r\n"
                 "Content-Type: application/offset+octet-stream\r\n%sContent-Length: %lld\r\n\r\n",
                 paths[index], want.port, offset, coding, step);
        snprintf(doing, sizeof doing, "PATCH %s at %lld", paths[index], offset);
        answer = ask(to, head, offset, step, 0, doing);
        offset += step;
        expect(&answer, 204, offset == whole ? want.size : offset, doing);
    }
}

static void ask_for(Connection *to, const char *path, long long offset)
{
    char head[4096], doing[2300];
    snprintf(head, sizeof head, "HEAD %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nTus-Resumable: 1.0.0\r\n\r\n", path, want.port);
    snprintf(doing, sizeof doing, "HEAD %.2000s", path);
    Answer answer = ask(to, head, 0, 0, 1, doing);
    if (answer.status != 204) expect(&answer, 200, offset, doing);
    else expect(&answer, 204, offset, doing);
}

static void put(Connection *to, long long index)
{
    char head[4096], doing[300];
    long long offset = puts_known[index].offset, size = puts_known[index].size;
    snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %lld\r\n%s\r\n", paths[index],
             want.port, size, puts_known[index].field);
    snprintf(doing, sizeof doing, "PUT %.*s", (int)strcspn(paths[index], "?"), paths[index]); /* not what signs it */
    Answer answer = ask(to, head, offset, size, 0, doing);
    expect(&answer, 200, -1, doing);
    if (!*answer.etag) fail("%s: 200 without an ETag", doing);
    memcpy(puts_known[index].etag, answer.etag, sizeof answer.etag);
}

static void *work(void *unused)
{
    Connection to;
    connection_open(&to, want.port);
    pthread_barrier_wait(&ready); /* everyone is connected */
    pthread_barrier_wait(&ready); /* the clock was started */
    for (long long index; (index = atomic_fetch_add(&next_upload, 1)) < want.count;) {
        double start = now();
        if (want.heads) ask_for(&to, paths[index], want.size ? want.size : -1);
        else if (want.puts) put(&to, index);
        else upload(&to, index);
        upload_times[index] = now() - start;
    }
    close(to.fd);
    return unused;
}

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Fills `paths` from the file, scattered so that neighbours in time are no neighbours on disk. */
static void read_paths(const char *file)
{
    FILE *from = fopen(file, "r");
    char line[2048], **all = NULL;
    size_t known = 0, room = 0;
    if (!from) fail("cannot read the paths of %s", file);
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = 0;
        if (known == room) all = realloc(all, (room = room ? room * 2 : 1024) * sizeof *all);
        if (!all) fail("no memory for the paths of %s", file);
        all[known++] = strdup(line);
    }
    fclose(from);
    if (!known) fail("%s names no path", file);
    unsigned long long seed = 88172645463325252ULL;
    for (long long index = 0; index < want.count; index++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        paths[index] = all[seed % known];
    }
}

/* Fills `paths` and `puts_known` from the file; returns how many bytes all of them have. */
static long long read_puts(const char *file)
{
    FILE *from = fopen(file, "r");
    char line[4096], path[3072], field[72];
    long long whole = 0, index = 0;
    puts_known = calloc((size_t)want.count, sizeof *puts_known);
    if (!from || !puts_known) fail("cannot read the PUTs of %s", file);
    for (; index < want.count && fgets(line, sizeof line, from); index++) {
        long long *offset = &puts_known[index].offset, *size = &puts_known[index].size;
        int fields = sscanf(line, "%lld %lld %3071s %71s", offset, size, path, field);
        if (fields < 3) fail("not a PUT: %.200s", line);
        if (fields > 3) snprintf(puts_known[index].field, sizeof puts_known->field, "%s\r\n", field);
        paths[index] = strdup(path);
        whole += *size;
    }
    fclose(from);
    if (index < want.count) fail("%s names %lld PUTs, not %lld", file, index, want.count);
    return whole;
}

static void write_etags(const char *file)
{
    FILE *to = fopen(file, "w");
    if (!to) fail("cannot write %s: %s", file, strerror(errno));
    for (long long index = 0; index < want.count; index++) fprintf(to, "%s\n", puts_known[index].etag);
    if (fclose(to)) fail("cannot write %s: %s", file, strerror(errno));
}

static void arguments(int argc, char **argv, const char **file)
{
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'u'}, {"count", 1, 0, 'n'}, {"size", 1, 0, 's'}, {"patch", 1, 0, 'b'},
        {"connections", 1, 0, 'c'}, {"with-creation", 0, 0, 'w'}, {"body", 1, 0, 'f'}, {"coding", 1, 0, 'e'},
        {"heads", 1, 0, 'h'}, {"puts", 1, 0, 'q'}, {"etags", 1, 0, 't'}, {0, 0, 0, 0}};
    for (int each; (each = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (each) {
        case 'p': want.port = atoi(optarg); break;
        case 'u': want.path = optarg; break;
        case 'n': want.count = atoll(optarg); break;
        case 's': want.size = atoll(optarg); break;
        case 'b': want.patch = atoll(optarg); break;
        case 'c': want.connections = atoi(optarg); break;
        case 'w': want.with_creation = 1; break;
        case 'f': *file = optarg; break;
        case 'e': want.coding = optarg; break;
        case 'h': want.heads = optarg; break;
        case 'q': want.puts = optarg; break;
        case 't': want.etags = optarg; break;
        default: fail("see the first lines of load.c for the arguments");
        }
    if (want.port <= 0 || want.count <= 0 || want.connections <= 0) fail("--port, --count and --connections are above 0");
    if (want.coding && !*file) fail("--coding needs --body: a file in that coding");
    if (!want.puts != !want.etags) fail("--puts and --etags go together");
    if (!want.heads && !want.puts && want.size <= 0) fail("--size is missing");
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    arguments(argc, argv, &file);
    if (!want.heads) make_body(file);
    long long wire = want.coding ? (long long)period : want.size;
    if (want.patch <= 0 || want.coding) want.patch = wire; /* a coded body goes in one piece: its length is not the file's */
    requests_most = (size_t)want.count * (want.heads || want.puts ? 1 : 2 + (size_t)(wire / want.patch));
    paths = calloc((size_t)want.count, sizeof *paths);
    upload_times = calloc((size_t)want.count, sizeof *upload_times);
    request_times = calloc(requests_most, sizeof *request_times);
    pthread_t *threads = calloc((size_t)want.connections, sizeof *threads);
    if (!paths || !upload_times || !request_times || !threads) fail("no memory for %lld uploads", want.count);
    if (want.heads) read_paths(want.heads);
    long long bytes = want.heads ? 0 : want.puts ? read_puts(want.puts) : want.count * want.size;
    long long wire_bytes = want.heads ? 0 : want.puts ? bytes : want.count * wire;

    pthread_barrier_init(&ready, NULL, (unsigned)want.connections + 1);
    for (int each = 0; each < want.connections; each++)
        if (pthread_create(&threads[each], NULL, work, NULL)) fail("cannot start %d threads", want.connections);
    pthread_barrier_wait(&ready);
    double used = cpu_seconds();
    began = now();
    pthread_barrier_wait(&ready);
    for (int each = 0; each < want.connections; each++) pthread_join(threads[each], NULL);
    double seconds = now() - began;
    used = cpu_seconds() - used;
    size_t requests = atomic_load(&requests_done);
    if (want.etags) write_etags(want.etags);

    printf("{\"first_path\": \"%s\", \"seconds\": %.6f, \"uploads\": %lld, \"bytes\": %lld, \"wire_bytes\": %lld, "
           "\"requests\": %zu, ", want.puts ? "" : paths[0], seconds, want.count, bytes, wire_bytes, requests);
    print_latencies("upload", upload_times, (size_t)want.count);
    fputs(", ", stdout);
    print_latencies("request", request_times, requests < requests_most ? requests : requests_most);
    printf(", \"reconnects\": %d, \"client_cpu_seconds\": %.3f}\n", atomic_load(&reconnects), used);
    fflush(stdout); /* whoever reads it may stop the other clocks now */

    if (!want.heads && !want.puts) {
        Connection to;
        long long step = (want.count + ASKED_AGAIN - 1) / ASKED_AGAIN;
        connection_open(&to, want.port);
        for (long long index = 0; index < want.count; index += step) ask_for(&to, paths[index], want.size);
        close(to.fd);
    }
    return 0;
}
