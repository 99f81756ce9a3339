#include "fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char text[4096];
static size_t text_len;

static void say(const char *format, ...) PRINTF_LIKE(1, 2);

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_len += (size_t)vsnprintf(text + text_len, sizeof(text) - text_len, format, args);
    va_end(args);
    CHECK(text_len < sizeof(text));
}

static void say_nothing(void)
{
    text_len = 0;
    text[0] = '\0';
}

struct router *fixture_new(uint32_t max_routes)
{
    struct router_config config = {.max_routes = max_routes};
    struct router *router;
    CHECK_EQ(router_new(&config, &router), 0);
    return router;
}

static void attach(struct router *router, uint32_t endpoint, struct endpoint_options options)
{
    char name[32];
    snprintf(name, sizeof(name), "tcp://%u", endpoint);
    options.name = name;
    CHECK_EQ(router_attach(router, endpoint, &options, false), 0);
}

void fixture_attach(struct router *router, uint32_t endpoint, enum endpoint_class class,
                    const char *path)
{
    attach(router, endpoint,
           (struct endpoint_options){.class = class, .path = path, .patterns = true});
}

void fixture_attach_base(struct router *router, uint32_t endpoint)
{
    attach(router, endpoint,
           (struct endpoint_options){.class = ENDPOINT_PEER, .path = "", .base = true});
}

struct router_intent *fixture_publish(struct router *router, const char *route)
{
    struct router_intent *intent;
    CHECK_EQ(router_open_intent(router, route, 0, NULL, &intent), 0);
    return intent;
}

struct router_interest *fixture_subscribe(struct router *router, const char *route, void *user)
{
    struct router_interest *interest;
    CHECK_EQ(router_open_interest(router, route, 0, user, &interest), 0);
    return interest;
}

int fixture_intent(struct router *router, uint32_t endpoint, const char *route, uint32_t alias)
{
    struct decl d = {.route = route, .registered = true, .alias = alias, .origin = ""};
    return router_learn_intent(router, endpoint, &d, 1);
}

int fixture_interest(struct router *router, uint32_t endpoint, const char *route)
{
    struct decl d = {.route = route, .registered = true, .origin = ""};
    return router_learn_interest(router, endpoint, &d, 1);
}

int fixture_gone(struct router *router, uint32_t endpoint, const char *route, bool intent)
{
    struct decl d = {.route = route, .origin = ""};
    return intent ? router_learn_intent(router, endpoint, &d, 1)
                  : router_learn_interest(router, endpoint, &d, 1);
}

const char *fixture_adverts(struct router *router)
{
    struct router_advert a;
    say_nothing();
    while (router_next_advert(router, &a)) {
        say("%s%u%c%c %s", text_len ? ", " : "", a.endpoint, a.registered ? '+' : '-',
            a.intent ? 'I' : 'N', a.route->text);
        if (a.origin)
            say("<%s>", a.origin->text);
    }
    return text;
}

static void say_target(void *ctx, const struct router_target *target)
{
    const char *comma = text_len ? ", " : "";
    if (target->endpoint == ROUTER_LOCAL)
        say("%sL%u", comma, (unsigned)(uintptr_t)target->interest);
    else
        say("%sE%u:%s", comma, target->endpoint, target->route->text);
}

const char *fixture_targets(struct router *router, const struct router_intent *intent)
{
    say_nothing();
    router_each_target(router, intent, say_target, NULL);
    return text;
}
