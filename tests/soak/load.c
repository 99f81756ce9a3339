/* The load: one thread goes round the streams, a turn every TURN_NS, and sends what the profile of
 * each has for this turn. A stream begins when somebody is interested; from then on its messages
 * are numbered from 0, and whoever is interested must get each of them. Room is waited for as long
 * as it takes: nothing of this load may be lost for want of it.
 *
 * `lock` guards the streams and is held while one of them is sent on: closing waits for that. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "soak.h"

#define STREAMS_MAX 64
#define TURN_NS 10000000L
#define PATIENCE_MS 60000

/* Every `turns` turns, `count` messages of `least` to `most` bytes. */
struct profile {
    const char *name;
    unsigned turns, count;
    size_t least, most;
};

static const struct profile profiles[] = {
    {"small", 1, 2, MESSAGE_MIN, 200},
    {"medium", 3, 1, 1024, 16384},
    {"large", 60, 1, 65536, MESSAGE_MAX},
    {"burst", 200, 2000, 64, 64},
};

struct stream {
    uint64_t number, sent;
    weft_intent *intent; /* NULL: the place is free */
    const struct profile *profile;
    unsigned phase; /* which of its turns it sends in */
};

static struct stream streams[STREAMS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool going, ending;
static pthread_t thread;
static weft_node *node;
static uint64_t random_state;
static uint8_t buffer[MESSAGE_MAX];

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* Large ones are sent both ways, as bytes and as a shared message. */
static int send_message(struct stream *s, size_t size)
{
    weft_msg *msg;
    if (size < 65536 || draw(2) == 0) {
        message_write(s->number, s->sent, buffer, size);
        return weft_send(s->intent, buffer, size);
    }
    int rc = weft_msg_new(size, &msg);
    if (rc < 0)
        return rc;
    message_write(s->number, s->sent, weft_msg_data(msg), size);
    rc = weft_send_msg(s->intent, msg);
    weft_msg_unref(msg);
    return rc;
}

/* EDROPPED: some link is about to end, and the others have the message. It has its number all the
 * same: whoever misses it will show it. */
static void send_one(struct stream *s)
{
    const struct profile *p = s->profile;
    if (!weft_intent_interested(s->intent))
        return;
    int rc = send_message(s, p->least + draw(p->most - p->least + 1));
    if (rc < 0 && rc != WEFT_EDROPPED)
        say("notice sending on %" PRIu64 ": %s", s->number, weft_strerror(rc));
    if (rc == 0 || rc == WEFT_EDROPPED)
        s->sent++;
}

static void take_turn(struct stream *s, unsigned turn)
{
    if ((turn + s->phase) % s->profile->turns != 0)
        return;
    for (unsigned i = 0; i < s->profile->count; i++)
        send_one(s);
}

static void *run(void *arg)
{
    const struct timespec pause = {.tv_nsec = TURN_NS};
    for (unsigned turn = 0;; turn++) {
        for (size_t i = 0; i < STREAMS_MAX; i++) {
            pthread_mutex_lock(&lock);
            if (going && streams[i].intent)
                take_turn(&streams[i], turn);
            pthread_mutex_unlock(&lock);
        }
        pthread_mutex_lock(&lock);
        while (!going && !ending)
            pthread_cond_wait(&changed, &lock);
        bool end = ending;
        pthread_mutex_unlock(&lock);
        if (end)
            return NULL;
        nanosleep(&pause, NULL);
    }
}

int load_start(weft_node *of, uint64_t seed)
{
    node = of;
    random_state = seed | 1;
    return pthread_create(&thread, NULL, run, NULL) ? WEFT_ENOMEM : 0;
}

static void set(bool go, bool end)
{
    pthread_mutex_lock(&lock);
    going = go;
    ending = end;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void load_stop(void)
{
    set(false, true);
    pthread_join(thread, NULL);
}

void load_go(void)
{
    set(true, false);
}

void load_hush(void)
{
    set(false, false);
}

static struct stream *find(uint64_t number)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        if (streams[i].intent ? streams[i].number == number : number == 0)
            return &streams[i];
    }
    return NULL;
}

static const struct profile *find_profile(const char *name)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(*profiles); i++) {
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    }
    return NULL;
}

int load_open(uint64_t number, const char *route, const char *profile)
{
    weft_publish_options o;
    weft_publish_options_init(&o);
    o.block_ms = PATIENCE_MS;
    struct stream s = {.number = number, .profile = find_profile(profile)};
    if (!s.profile)
        return WEFT_EINVAL;
    pthread_mutex_lock(&lock);
    struct stream *place = find(0);
    int rc = place ? weft_publish(node, route, &o, &s.intent) : WEFT_ELIMIT;
    s.phase = (unsigned)draw(s.profile->turns);
    if (rc == 0)
        *place = s;
    pthread_mutex_unlock(&lock);
    return rc;
}

void load_close(uint64_t number)
{
    pthread_mutex_lock(&lock);
    struct stream *s = find(number);
    if (s) {
        weft_intent_close(s->intent);
        s->intent = NULL;
        say("closed %" PRIu64 " %" PRIu64, number, s->sent);
    }
    pthread_mutex_unlock(&lock);
}

void load_mark(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct stream *s = &streams[i];
        if (!s->intent)
            continue;
        send_one(s);
        say("sent %" PRIu64 " %" PRIu64, s->number, s->sent);
    }
    pthread_mutex_unlock(&lock);
}
