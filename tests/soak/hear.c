/* Receiving: every message is checked byte for byte and against the number that must follow. What
 * comes twice, out of order or damaged is said at once ("wrong …"); what is missing shows in the
 * report, where soak.py decides whether it may.
 *
 * Callbacks run on the node's loop; a thread polls the descriptors of the queues, and takes from
 * slow ones a few messages each turn. Two locks: `lock` guards the list of interests, and is held
 * while a queue is emptied, so that none is closed meanwhile. `heard_lock` guards what was heard,
 * and is the only one a callback takes: closing waits for callbacks. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soak.h"

#define INTERESTS_MAX 64
#define HEARD_SLOTS 4096 /* a power of two */
#define SLOW_QUEUE 8192  /* bytes */
#define SLOW_BATCH 8
#define BATCH 256
#define TURN_MS 10
#define PATIENCE_MS 60000

enum mode { CALLBACK, QUEUE, SLOW, TALLY };
static const char *const modes[] = {"callback", "queue", "slow", "tally"};

struct ear {
    uint64_t number;
    weft_interest *interest; /* NULL: the place is free */
    enum mode mode;
};

/* What one interest heard of one stream since the last hear_forget. */
struct heard {
    uint64_t number, stream; /* number 0: the slot is free */
    uint64_t first, next, count;
};

static struct ear ears[INTERESTS_MAX];
static struct heard heard[HEARD_SLOTS];
static size_t heard_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t heard_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t messages, bytes;
static pthread_t thread;
static weft_node *node;
static _Atomic uint64_t *tally_count;
static enum fault planted;
static int wake[2]; /* a pipe; its end is the thread's */

/* heard_lock held. NULL: no room. */
static struct heard *find_heard(uint64_t number, uint64_t stream)
{
    uint64_t at = (number * 0x9e3779b97f4a7c15u) ^ (stream * 0xbf58476d1ce4e5b9u);
    at ^= at >> 32;
    while (heard[at % HEARD_SLOTS].number) {
        struct heard *h = &heard[at % HEARD_SLOTS];
        if (h->number == number && h->stream == stream)
            return h;
        at++;
    }
    if (heard_count == HEARD_SLOTS / 2)
        return NULL;
    heard_count++;
    struct heard *h = &heard[at % HEARD_SLOTS];
    *h = (struct heard){.number = number, .stream = stream};
    return h;
}

/* heard_lock held */
static void note(const struct ear *e, uint64_t stream, uint64_t seq)
{
    struct heard *h = find_heard(e->number, stream);
    if (!h) {
        say("wrong: more streams than there is room for");
        return;
    }
    if (h->count == 0)
        h->first = seq;
    else if (seq < h->next)
        say("wrong: interest %" PRIu64 ", stream %" PRIu64 ": %" PRIu64 " where %" PRIu64
            " is next: twice, or out of order",
            e->number, stream, seq, h->next);
    h->next = seq + 1;
    h->count++;
}

static void take(const struct ear *e, const weft_msg *msg)
{
    uint64_t stream, seq;
    const void *data = weft_msg_data(msg);
    size_t size = weft_msg_size(msg);
    if (!message_read(data, size, &stream, &seq)) {
        say("wrong: interest %" PRIu64 ": a damaged message of %zu bytes on %s from %s", e->number,
            size, weft_msg_route(msg), weft_msg_sender(msg));
        return;
    }
    bool odd = seq % 1000 == 999;
    if (planted == FAULT_LOSS && odd)
        return;
    if (e->mode == TALLY)
        atomic_fetch_add(tally_count, 1);
    pthread_mutex_lock(&heard_lock);
    note(e, stream, seq);
    if (planted == FAULT_TWICE && odd)
        note(e, stream, seq);
    messages++;
    bytes += size;
    pthread_mutex_unlock(&heard_lock);
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    take(user, msg);
}

/* lock held */
static void empty_queue(const struct ear *e, unsigned most)
{
    weft_msg *msg;
    for (unsigned i = 0; i < most && weft_recv(e->interest, &msg, 0) == 0; i++) {
        take(e, msg);
        weft_msg_unref(msg);
    }
}

/* The descriptors to watch, a place for each ear; -1 is passed over by poll. */
static void gather(struct pollfd fds[INTERESTS_MAX])
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < INTERESTS_MAX; i++) {
        bool queue = ears[i].interest && ears[i].mode == QUEUE;
        fds[i] = (struct pollfd){.fd = queue ? weft_interest_fd(ears[i].interest) : -1,
                                 .events = POLLIN};
    }
    pthread_mutex_unlock(&lock);
}

static void *run(void *arg)
{
    struct pollfd fds[INTERESTS_MAX + 1];
    for (;;) {
        gather(fds);
        fds[INTERESTS_MAX] = (struct pollfd){.fd = wake[0], .events = POLLIN};
        poll(fds, INTERESTS_MAX + 1, planted == FAULT_SPIN ? 0 : TURN_MS);
        if (fds[INTERESTS_MAX].revents)
            return NULL;
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < INTERESTS_MAX; i++) {
            if (ears[i].interest && ears[i].mode == QUEUE)
                empty_queue(&ears[i], BATCH);
            else if (ears[i].interest && ears[i].mode == SLOW)
                empty_queue(&ears[i], SLOW_BATCH);
        }
        pthread_mutex_unlock(&lock);
    }
}

static int map_tally(const char *file)
{
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return WEFT_EIO;
    void *at = MAP_FAILED;
    if (ftruncate(fd, sizeof(*tally_count)) == 0)
        at = mmap(NULL, sizeof(*tally_count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        return WEFT_EIO;
    tally_count = at;
    return 0;
}

int hear_start(weft_node *of, const char *tally, enum fault fault)
{
    node = of;
    planted = fault;
    int rc = map_tally(tally);
    if (rc < 0)
        return rc;
    if (pipe2(wake, O_CLOEXEC) < 0)
        return WEFT_EMFILE;
    return pthread_create(&thread, NULL, run, NULL) ? WEFT_ENOMEM : 0;
}

void hear_stop(void)
{
    close(wake[1]);
    pthread_join(thread, NULL);
    close(wake[0]);
}

/* lock held. 0 finds a free place. */
static struct ear *find(uint64_t number)
{
    for (size_t i = 0; i < INTERESTS_MAX; i++) {
        if (ears[i].interest ? ears[i].number == number : number == 0)
            return &ears[i];
    }
    return NULL;
}

static int find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(modes[i], name) == 0)
            return (int)i;
    }
    return -1;
}

int hear_open(uint64_t number, const char *route, const char *name)
{
    int mode = find_mode(name);
    weft_subscribe_options o;
    weft_subscribe_options_init(&o);
    if (mode < 0)
        return WEFT_EINVAL;
    o.block_ms = PATIENCE_MS;
    if (mode == SLOW) {
        o.queue = SLOW_QUEUE;
        o.policy = WEFT_DROP_OLDEST;
    }
    pthread_mutex_lock(&lock);
    struct ear *e = find(0);
    int rc = WEFT_ELIMIT;
    if (e) {
        *e = (struct ear){.number = number, .mode = (enum mode)mode};
        if (mode == CALLBACK || mode == TALLY)
            o.on_message = on_message;
        o.user = e;
        rc = weft_subscribe(node, route, &o, &e->interest);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

/* lock held */
static void report(const struct ear *e)
{
    pthread_mutex_lock(&heard_lock);
    for (size_t i = 0; i < HEARD_SLOTS; i++) {
        const struct heard *h = &heard[i];
        if (h->number == e->number)
            say("got %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, h->number,
                h->stream, h->first, h->next, h->count);
    }
    pthread_mutex_unlock(&heard_lock);
    if (e->mode == SLOW)
        say("dropped %" PRIu64 " %" PRIu64, e->number, weft_interest_dropped(e->interest));
}

/* What waits in its queue is taken first; what comes between that and the closing is not heard. */
void hear_close(uint64_t number)
{
    pthread_mutex_lock(&lock);
    struct ear *e = find(number);
    if (e) {
        if (e->mode == QUEUE || e->mode == SLOW)
            empty_queue(e, BATCH);
        report(e);
        weft_interest_close(e->interest);
        e->interest = NULL;
        say("deaf %" PRIu64, number);
    }
    pthread_mutex_unlock(&lock);
}

void hear_report(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < INTERESTS_MAX; i++) {
        if (ears[i].interest)
            report(&ears[i]);
    }
    pthread_mutex_unlock(&lock);
}

void hear_forget(void)
{
    pthread_mutex_lock(&heard_lock);
    memset(heard, 0, sizeof(heard));
    heard_count = 0;
    pthread_mutex_unlock(&heard_lock);
}

void hear_counts(uint64_t *ret_messages, uint64_t *ret_bytes)
{
    pthread_mutex_lock(&heard_lock);
    *ret_messages = messages;
    *ret_bytes = bytes;
    pthread_mutex_unlock(&heard_lock);
}
