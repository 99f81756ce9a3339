/* A message that is queued while a sender is held in the kernel with a large one: the outbox is in
 * bulk, so nobody wakes the loop for it; then two ticks pass, which find the outbox quiet and take
 * it out of bulk. When the sender comes back, it is on it to have the loop look. Were that
 * forgotten, the message would lie there until the next, or a PING.
 *
 * This program's own sendmsg and read stand before libc's: the one holds the sender, the other
 * counts ticks, so that no time needs to pass but theirs. */
#include "fixture.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "proto/frame.h"

#define ROUNDS 20
#define LARGE (300u << 10) /* goes out from where it lies, in a write of its own */

static ssize_t (*libc_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*libc_read)(int, void *, size_t);
static _Thread_local bool is_sender;
static atomic_bool armed;
static sem_t held, release;
static atomic_uint expirations; /* reads of 8 bytes: timers and events */
static atomic_uint controls;    /* writes that begin with a control frame */

__attribute__((constructor)) static void find_libc(void)
{
    *(void **)&libc_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    *(void **)&libc_read = dlsym(RTLD_NEXT, "read");
}

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    if (load_u32(msg->msg_iov[0].iov_base) == FRAME_MAGIC)
        atomic_fetch_add(&controls, 1);
    bool alone = msg->msg_iovlen == 2 && msg->msg_iov[1].iov_len == LARGE;
    if (is_sender && alone && atomic_exchange(&armed, false)) {
        sem_post(&held);
        while (sem_wait(&release) != 0)
            ;
    }
    return libc_sendmsg(fd, msg, flags);
}

__attribute__((visibility("default"))) ssize_t read(int fd, void *buf, size_t size)
{
    ssize_t n = libc_read(fd, buf, size);
    if (n == sizeof(uint64_t))
        atomic_fetch_add(&expirations, 1);
    return n;
}

struct stream_end {
    weft_node *from;
    weft_intent *out;
    atomic_bool stop;
    uint64_t sent;
    int rc;
};

/* Sends until a large message is held, and after that no more. */
static void *burst(void *arg)
{
    struct stream_end *e = arg;
    static const uint8_t data[LARGE];
    is_sender = true;
    for (unsigned n = 0; e->rc == 0 && atomic_load(&armed); n++) {
        e->rc = weft_send(e->out, data, n % 50 < 45 ? 900 : LARGE);
        e->sent++;
    }
    return NULL;
}

static void on_message(weft_interest *interest, const weft_msg *msg, void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
}

/* Returns whether the message came by itself, and not on the heels of a control frame. */
static bool round_of(struct stream_end *e, atomic_uint *received)
{
    pthread_t thread;
    atomic_store(&armed, true);
    CHECK_EQ(pthread_create(&thread, NULL, burst, e), 0);
    while (sem_wait(&held) != 0)
        ;
    CHECK_EQ(weft_send(e->out, "late", 4), 0);
    unsigned before = atomic_load(&expirations);
    for (int i = 0; i < 100 && atomic_load(&expirations) < before + 2; i++)
        fx_pause(); /* no tick comes if the outbox is not in bulk, which is the rule's exception */
    CHECK_EQ(fx_peer_count(e->from), 1); /* asks the loop, which is done with its tick then */
    unsigned controls_before = atomic_load(&controls);
    sem_post(&release);
    pthread_join(thread, NULL);
    CHECK_EQ(e->rc, 0);
    e->sent++;
    UNTIL(atomic_load(received) == e->sent);
    return atomic_load(&controls) == controls_before;
}

TEST(bulk, what_comes_while_a_sender_is_held_is_not_forgotten)
{
    atomic_uint received = 0;
    struct stream_end e = {0};
    weft_node *to = fx_open("tcp://127.0.0.1:0/to", NULL, NULL);
    weft_node *from = fx_open("tcp://127.0.0.1:0/f", weft_node_url(to), NULL);
    weft_subscribe_options options;
    weft_subscribe_options_init(&options);
    options.on_message = on_message;
    options.user = &received;
    weft_interest *in;
    CHECK_EQ(weft_subscribe(to, "t.S@f.0", &options, &in), 0);
    e.from = from;
    e.out = fx_publish(from, "t.S@f.0");
    CHECK_EQ(weft_intent_wait(e.out, WAIT_MS), 0);
    sem_init(&held, 0, 0);
    sem_init(&release, 0, 0);
    int rescued = 0;
    for (int i = 0; i < ROUNDS; i++)
        rescued += !round_of(&e, &received);
    CHECK(rescued < 2); /* a PING may be due at any time, but is every 2.5 s */
    weft_node_close(from);
    weft_node_close(to);
}
