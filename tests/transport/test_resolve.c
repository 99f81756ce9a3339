/* Names that no server answers for: the resolver of libc is stood in for by one that is told when
 * to return. */
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#include <weft/weft.h>

#include "transport/private.h"

enum { SILENT = 12 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool answered;
static unsigned asking; /* lookups of a silent name under way */

/* In place of libc's: silentN.test waits until `answered`, here.test is this host, and literal
 * addresses are what they are. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_addrs)
{
    struct sockaddr_in *in;
    struct addrinfo *ai;
    bool literal = strcmp(node, "127.0.0.1") == 0;
    if (!literal && (hints->ai_flags & AI_NUMERICHOST))
        return EAI_NONAME;
    if (strncmp(node, "silent", 6) == 0) {
        pthread_mutex_lock(&lock);
        asking++;
        pthread_cond_broadcast(&changed);
        while (!answered)
            pthread_cond_wait(&changed, &lock);
        asking--;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        return EAI_NONAME;
    }
    if (!literal && strcmp(node, "here.test") != 0)
        return EAI_NONAME;
    ai = calloc(1, sizeof(*ai) + sizeof(*in));
    CHECK(ai != NULL);
    in = (struct sockaddr_in *)(ai + 1);
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)strtoul(service, NULL, 10));
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *ai = (struct addrinfo){.ai_family = AF_INET,
                            .ai_socktype = SOCK_STREAM,
                            .ai_addrlen = sizeof(*in),
                            .ai_addr = (struct sockaddr *)in};
    *ret_addrs = ai;
    return 0;
}

void freeaddrinfo(struct addrinfo *addrs)
{
    free(addrs);
}

static void wait_asking(unsigned count)
{
    pthread_mutex_lock(&lock);
    while (asking != count)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void answer(bool on)
{
    pthread_mutex_lock(&lock);
    answered = on;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void dial_silent(struct fixture *f)
{
    struct url real = f->url;
    for (int i = 0; i < SILENT; i++) {
        char text[64];
        snprintf(text, sizeof(text), "tcp://silent%d.test:7400/t", i);
        f->url = parse_url(text);
        fixture_dial(f, NULL);
    }
    f->url = real;
}

/* However many are not answered, another name is looked up and connects. */
TEST(resolve, silent_names_hold_up_no_other)
{
    struct fixture f;
    answer(false);
    fixture_init(&f, "tcp4");
    fixture_listen(&f);
    dial_silent(&f);
    wait_asking(SILENT);
    CHECK_EQ(url_set_host(&f.url, "here.test"), 0);
    struct end *c = fixture_dial(&f, NULL);
    RUN_UNTIL(&f, c->opened && f.server_count == 1);
    CHECK_EQ(c->open_error, 0);
    CHECK_EQ(count_opened(&f), 1u);
    answer(true);
    RUN_UNTIL(&f, count_over(&f) == SILENT);
    for (int i = 0; i < SILENT; i++)
        CHECK_EQ(f.clients[i]->open_error, WEFT_ERESOLVE);
    wait_asking(0);
    fixture_fini(&f);
}

/* A loop whose streams are closed runs dry although the resolver has not returned. */
TEST(resolve, closing_waits_for_no_answer)
{
    struct fixture f;
    answer(false);
    fixture_init(&f, "tcp4");
    fixture_listen(&f);
    dial_silent(&f);
    wait_asking(SILENT);
    fixture_fini(&f);
    answer(true);
    wait_asking(0);
}

/* ---- No thread is to be had ---- */

enum { PLACES = 64 }; /* lookups at a time */

static uv_loop_t short_loop;
static bool no_threads;
static unsigned started, failed, told;

static void on_resolved(void *user, int error, struct addrinfo *addrs)
{
    (void)user;
    CHECK_EQ(error, WEFT_ENOMEM);
    CHECK(addrs == NULL);
    told++;
}

static void look_up_one(void)
{
    struct resolve *r;
    started++;
    failed += resolve_start(&short_loop, "silent.test", "7400", on_resolved, NULL, &r) < 0;
}

/* In place of libc's: as many loops ask for a thread at once as there are places, and one more, for
 * which there is none; and then none of them gets its thread. */
int pthread_attr_init(pthread_attr_t *attr)
{
    static int (*real)(pthread_attr_t *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_attr_init");
    if (!no_threads)
        return real(attr);
    if (started <= PLACES)
        look_up_one();
    return ENOMEM;
}

TEST(resolve, who_waits_for_a_place_is_told_that_there_is_no_thread)
{
    CHECK_EQ(uv_loop_init(&short_loop), 0);
    no_threads = true;
    look_up_one();
    no_threads = false;
    CHECK_EQ(started, PLACES + 1);
    CHECK_EQ(failed, PLACES);
    uv_run(&short_loop, UV_RUN_NOWAIT);
    CHECK_EQ(told, 1); /* or it would wait for ever */
    uv_run(&short_loop, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&short_loop), 0);
}
