/* weft record: keep traffic with its timing.
 *
 * Happy path: messages are handed over on the loop's thread, where their time of arrival is taken
 * and a reference kept in a bounded queue; this thread takes the whole queue at a time and appends
 * it to the file. The queue is one for all routes, so that the file has the order of arrival. A
 * message that several of the routes match is kept once.
 *
 * A file that is written too slowly never slows a publisher: once the queue is full, what comes is
 * counted until the queue has been taken, and the loss is a record of its own where it happened,
 * and told. A failed write ends the recording; what was written before plays. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/memory.h"
#include "../common/suggest.h"
#include "../common/recording.h"
#include "../common/units.h"
#include "command.h"
#include "progress.h"

#define ROUTES_MAX 32
#define QUEUE_MAX ((size_t)256 * 1024 * 1024) /* bytes of messages not yet written */
#define QUEUE_COUNT_MAX ((size_t)4 * 1000 * 1000)
#define BUFFER ((size_t)1024 * 1024)

enum { OPTION_COUNT = OPTION_OWN, OPTION_DURATION, OPTION_SIZE };

static const struct option options[] = {
    LINK_LONG,
    {"output", required_argument, NULL, 'o'},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"size", required_argument, NULL, OPTION_SIZE},
    {NULL, 0, NULL, 0},
};

struct arrival {
    weft_msg *msg;
    uint64_t at_ns;
};

struct queue {
    struct arrival *items;
    size_t count, allocated, bytes;
};

struct recorder;

struct taken_route {
    struct recorder *recorder;
    const char *route; /* of argv */
    weft_interest *interest;
    uint64_t lost, lost_at_ns; /* under the recorder's lock: not yet written */
};

struct recorder {
    struct link_options link;
    struct session session;
    struct taken_route routes[ROUTES_MAX];
    size_t route_count;
    const char *file;
    uint64_t count, size_max; /* 0: no end */
    uint32_t duration_ms;     /* UINT32_MAX: none */

    FILE *out;
    uint64_t started; /* of the monotonic clock */
    uint64_t size, messages, bytes, lost;
    struct progress progress;

    pthread_mutex_t lock; /* of what follows, and of the routes' losses */
    struct queue queue;
    bool full; /* until it is taken */
};

/* ---- The command line --------------------------------------------------------------------------
 */

static int take_option(int option, struct recorder *r)
{
    switch (option) {
    case 'o':
        r->file = optarg;
        return EXIT_OK;
    case OPTION_COUNT:
        if (count_parse(optarg, 1, UINT64_MAX, &r->count))
            return EXIT_OK;
        return usage_error(&record_command, "--count %s: expected a number from 1", optarg);
    case OPTION_DURATION:
        if (parse_seconds(optarg, &r->duration_ms) && r->duration_ms > 0)
            return EXIT_OK;
        return usage_error(&record_command, "--duration %s: expected seconds or %s", optarg,
                           DURATION_EXPECTED);
    case OPTION_SIZE:
        if (size_parse(optarg, &r->size_max) && r->size_max > 0)
            return EXIT_OK;
        return usage_error(&record_command, "--size %s: expected %s", optarg, SIZE_EXPECTED);
    }
    return EXIT_USAGE;
}

static int take_routes(int argc, char **argv, struct recorder *r)
{
    if (optind == argc)
        return usage_error(&record_command, "no route; give one such as types.Pose@robot.arm or "
                                            "'*@robot.**'");
    if (argc - optind > ROUTES_MAX)
        return usage_error(&record_command, "more than %d routes; use a pattern", ROUTES_MAX);
    for (; optind < argc; optind++) {
        if (weft_route_check(argv[optind], NULL) < 0)
            return no_route(&record_command, argv[optind]);
        r->routes[r->route_count++] = (struct taken_route){.recorder = r, .route = argv[optind]};
    }
    if (!r->file)
        return usage_error(&record_command, "no file to record to; give -o FILE");
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct recorder *r, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = suggest_getopt(argc, argv, LINK_SHORT "o:", options)) != -1) {
        int taken = link_option(option, &record_command, &r->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, r)) != EXIT_OK)
            return code;
    }
    code = take_routes(argc, argv, r);
    return code == EXIT_OK ? link_check(&r->link, &record_command) : code;
}

/* ---- Arrivals [loop] ---------------------------------------------------------------------------
 */

/* Does an earlier route get this message as well? */
static bool taken_before(const struct taken_route *route, const char *name)
{
    const struct recorder *r = route->recorder;
    for (const struct taken_route *other = r->routes; other < route; other++)
        if (weft_route_matches(other->route, name))
            return true;
    return false;
}

static void append(struct queue *q, weft_msg *msg, uint64_t at_ns)
{
    if (q->count == q->allocated) {
        q->allocated = q->allocated ? 2 * q->allocated : 256;
        q->items = xresize(q->items, q->allocated * sizeof(*q->items));
    }
    q->items[q->count++] = (struct arrival){msg, at_ns};
    q->bytes += weft_msg_size(msg);
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    struct taken_route *route = user;
    struct recorder *r = route->recorder;
    uint64_t at_ns = now_ns() - r->started;
    if (taken_before(route, weft_msg_route(msg)))
        return;
    pthread_mutex_lock(&r->lock);
    struct queue *q = &r->queue;
    bool first = q->count == 0 && !r->full;
    r->full = r->full || q->count == QUEUE_COUNT_MAX || q->bytes + weft_msg_size(msg) > QUEUE_MAX;
    weft_msg *kept = r->full ? NULL : weft_msg_ref(msg);
    if (kept) {
        append(q, kept, at_ns);
    } else {
        r->full = true;
        route->lost_at_ns = route->lost++ ? route->lost_at_ns : at_ns;
    }
    pthread_mutex_unlock(&r->lock);
    if (first)
        session_wake(&r->session);
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

static int cannot_write(const struct recorder *r)
{
    return failure("cannot write %s: %s; it is sound as far as it was written", r->file,
                   strerror(errno));
}

static bool wanted(const struct recorder *r)
{
    return (r->count == 0 || r->messages < r->count) && (r->size_max == 0 || r->size < r->size_max);
}

static bool write_message(struct recorder *r, const struct arrival *arrival)
{
    struct record record = {
        .kind = RECORD_MESSAGE,
        .at_ns = arrival->at_ns,
        .time_ns = weft_msg_time(arrival->msg),
        .route = weft_msg_route(arrival->msg),
        .sender = weft_msg_sender(arrival->msg),
        .data = weft_msg_data(arrival->msg),
        .size = weft_msg_size(arrival->msg),
    };
    r->messages++;
    r->bytes += record.size;
    return recording_write(r->out, &record, &r->size);
}

static bool write_gap(struct recorder *r, const struct taken_route *route, uint64_t lost,
                      uint64_t at_ns)
{
    struct record record = {
        .kind = RECORD_GAP, .at_ns = at_ns, .count = lost, .route = route->route};
    r->lost += lost;
    return lost == 0 || recording_write(r->out, &record, &r->size);
}

/* Append what has come, and the losses behind it: while the queue was full, nothing entered it.
 * Losses after the last message that is wanted are none. */
static int write_waiting(struct recorder *r)
{
    uint64_t lost[ROUTES_MAX], lost_at[ROUTES_MAX];
    pthread_mutex_lock(&r->lock);
    struct queue taken = r->queue;
    r->queue = (struct queue){0};
    r->full = false;
    for (size_t i = 0; i < r->route_count; i++) {
        lost[i] = r->routes[i].lost;
        lost_at[i] = r->routes[i].lost_at_ns;
        r->routes[i].lost = 0;
    }
    pthread_mutex_unlock(&r->lock);

    bool ok = true;
    for (size_t i = 0; i < taken.count; i++) {
        if (ok && wanted(r))
            ok = write_message(r, &taken.items[i]);
        weft_msg_unref(taken.items[i].msg);
    }
    xfree(taken.items);
    for (size_t i = 0; ok && wanted(r) && i < r->route_count; i++)
        ok = write_gap(r, &r->routes[i], lost[i], lost_at[i]);
    if (ok && fflush(r->out) == 0)
        return EXIT_OK;
    return cannot_write(r);
}

/* ---- Recording ---------------------------------------------------------------------------------
 */

static int declare(struct recorder *r)
{
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    o.on_message = on_message;
    for (size_t i = 0; i < r->route_count; i++) {
        o.user = &r->routes[i];
        int rc = weft_subscribe(r->session.node, r->routes[i].route, &o, &r->routes[i].interest);
        if (rc < 0)
            return failure("cannot subscribe to %s: %s", r->routes[i].route, weft_strerror(rc));
    }
    return EXIT_OK;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int receive(struct recorder *r)
{
    uint64_t end = r->duration_ms == UINT32_MAX
                       ? FOREVER
                       : r->started + (uint64_t)r->duration_ms * UINT64_C(1000000);
    uint64_t total = end == FOREVER ? 0 : end - r->started;
    int code = EXIT_OK;
    while (code == EXIT_OK && wanted(r)) {
        enum session_event e =
            session_wait(&r->session, earlier(end, progress_due(&r->progress)), NULL, 0);
        code = write_waiting(r);
        uint64_t now = now_ns();
        if (e == SESSION_SIGNAL || now >= end)
            break;
        progress_draw(&r->progress, r->messages, r->bytes, now - r->started, total);
    }
    progress_clear(&r->progress);
    return code;
}

/* The last record, which tells a whole file from one that was cut. */
static int finish(struct recorder *r)
{
    struct record record = {.kind = RECORD_END,
                            .at_ns = now_ns() - r->started,
                            .count = r->messages,
                            .lost = r->lost,
                            .route = "",
                            .sender = ""};
    if (!recording_write(r->out, &record, &r->size) || fflush(r->out) != 0 ||
        (fsync(fileno(r->out)) < 0 && errno != EINVAL))
        return cannot_write(r);
    return EXIT_OK;
}

static int summary(const struct recorder *r)
{
    char bytes[UNITS_TEXT], time[UNITS_TEXT];
    fprintf(stderr, "weft: recorded %" PRIu64 " messages, %sB, in %s: %s\n", r->messages,
            amount_format((double)r->bytes, bytes), ns_format(now_ns() - r->started, time),
            r->file);
    if (r->lost)
        return failure("%" PRIu64 " messages were lost: the file was written too slowly for them; "
                       "the recording has gaps where they were",
                       r->lost);
    if (r->messages == 0 && r->duration_ms != UINT32_MAX)
        return failure("no message came");
    return EXIT_OK;
}

static int record(struct recorder *r)
{
    weft_options o;
    session_options(&r->link, &o);
    int code = session_open(&r->session, &o);
    if (code != EXIT_OK)
        return code;
    r->started = now_ns();
    progress_init(&r->progress);
    code = declare(r);
    if (code == EXIT_OK)
        code = receive(r);
    for (size_t i = 0; i < r->route_count; i++)
        weft_interest_close(r->routes[i].interest);
    for (size_t i = 0; i < r->queue.count; i++)
        weft_msg_unref(r->queue.items[i].msg);
    xfree(r->queue.items);
    if (code == EXIT_OK)
        code = finish(r);
    if (code == EXIT_OK)
        code = summary(r);
    session_close(&r->session);
    return code;
}

/* A file that is there is somebody's recording: it is not written over. */
static int open_file(struct recorder *r)
{
    struct timespec now;
    int fd = open(r->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return failure("%s exists; remove it, or record to another file", r->file);
    r->out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!r->out) {
        int code = failure("cannot write %s: %s", r->file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return code;
    }
    setvbuf(r->out, NULL, _IOFBF, BUFFER);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t started = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    r->size = RECORDING_HEADER;
    return recording_begin(r->out, started) && fflush(r->out) == 0 ? EXIT_OK : cannot_write(r);
}

static int run(int argc, char **argv)
{
    struct recorder r = {.duration_ms = UINT32_MAX};
    bool done = false;
    int code = parse(argc, argv, &r, &done);
    pthread_mutex_init(&r.lock, NULL);
    if (code == EXIT_OK && !done)
        code = open_file(&r);
    if (code == EXIT_OK && !done)
        code = record(&r);
    if (r.out && fclose(r.out) != 0 && code == EXIT_OK)
        code = cannot_write(&r);
    if (r.out && !r.started) /* not even begun: in nobody's way at the next try */
        unlink(r.file);
    pthread_mutex_destroy(&r.lock);
    link_fini(&r.link);
    return code;
}

const struct command record_command = {
    .name = "record",
    .run = run,
    .summary = "keep messages in a file, with their timing",
    .help = "usage: weft record ROUTE... -o FILE [-P URL]... [-l URL]\n"
            "                   [--count N] [--duration S] [--size SIZE] [options]\n"
            "\n"
            "Records the messages of each ROUTE (plain, hashed, or a pattern in quotes) to a\n"
            "new file, for weft play. Ends by itself, or at SIGINT with a whole file.\n"
            "\n"
            "  -o, --output FILE   the file; one that exists is not written over\n"
            "      --count N       end after N messages\n"
            "      --duration S    end after S seconds\n"
            "      --size SIZE     end once the file has this size, such as 100MiB\n" LINK_HELP "\n"
            "Publishers are never slowed. Messages that the disk is too slow for are counted,\n"
            "and are a gap in the file; what a node on the way dropped is counted there (weft\n"
            "status).\n"
            "\n"
            "Exit codes: 0 ended by --count, --size, SIGINT, or by --duration with a message;\n"
            "1 it failed, messages were lost, or none came; 2 wrong usage.\n"
            "\n"
            "  weft record '*@robot.**' -o drive.weftrec -P unix:///run/weft/weftd.sock\n",
};
