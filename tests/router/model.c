#include "model.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "tests/check.h"

struct route model_parse(const char *text)
{
    struct route route = {0};
    CHECK_EQ(route_parse(text, strlen(text), &route, NULL), 0);
    return route;
}

void model_normal(const char *route, char *out)
{
    struct route r = model_parse(route);
    snprintf(out, MODEL_TEXT, "%s", route);
    for (size_t i = 0; i < r.path_len; i++)
        if (out[(size_t)(r.path - r.text) + i] == '/')
            out[(size_t)(r.path - r.text) + i] = '.';
}

struct model_advert *model_find_advert(struct model_adverts *adverts, bool intent, const char *norm,
                                       const char *origin)
{
    for (uint32_t i = 0; i < adverts->count; i++) {
        struct model_advert *a = &adverts->items[i];
        if (a->intent == intent && strcmp(a->norm, norm) == 0 && strcmp(a->origin, origin) == 0)
            return a;
    }
    return NULL;
}

void model_hear(struct model *m, const struct router_advert *advert)
{
    CHECK(advert->endpoint < MODEL_ENDPOINTS && m->endpoints[advert->endpoint].attached);
    struct model_adverts *told = &m->told[advert->endpoint];
    char norm[MODEL_TEXT];
    model_normal(advert->route->text, norm);
    struct model_advert *a =
        model_find_advert(told, advert->intent, norm, str_text(advert->origin));
    if (!advert->registered) {
        CHECK(a != NULL); /* nothing is withdrawn that was not told */
        CHECK_STR(a->route, advert->route->text);
        *a = told->items[--told->count];
        return;
    }
    if (!a) {
        CHECK(told->count < MODEL_ADVERTS);
        a = &told->items[told->count++];
    } else {
        CHECK_STR(a->route, advert->route->text);
    }
    *a = (struct model_advert){.intent = advert->intent,
                               .alias = advert->alias,
                               .hops = advert->hops,
                               .schema = advert->schema};
    snprintf(a->route, sizeof(a->route), "%s", advert->route->text);
    snprintf(a->norm, sizeof(a->norm), "%s", norm);
    snprintf(a->origin, sizeof(a->origin), "%s", str_text(advert->origin));
}

/* ---- Targets ---- */

uint64_t model_target_hash(const struct router_target *target)
{
    uintptr_t interest = (uintptr_t)target->interest;
    uint64_t h = hash64(HASH64_SEED, &interest, sizeof(interest));
    h = hash64(h, &target->endpoint, sizeof(target->endpoint));
    return hash64(h, str_text(target->route), strlen(str_text(target->route))) + 1;
}

static uint64_t hash_of(const struct model_interest *s, const char *spelling)
{
    struct str *route = spelling ? str_new(spelling, strlen(spelling)) : NULL;
    struct router_target t = {.endpoint = s->endpoint, .route = route};
    if (!spelling)
        t.interest = (void *)s;
    uint64_t h = model_target_hash(&t);
    str_unref(route);
    return h;
}

uint64_t model_targets(const struct model *m, const struct model_intent *i)
{
    const char *spelling[MODEL_ENDPOINTS] = {0};
    uint64_t sum = 0;
    for (uint32_t k = 0; k < MODEL_RECORDS; k++) {
        const struct model_interest *s = &m->interests[k];
        bool conflict;
        if (!s->used || !model_linked(m, i, s, &conflict))
            continue;
        if (s->endpoint == ROUTER_LOCAL)
            sum += hash_of(s, NULL);
        else if (model_parse(s->route).kind != ROUTE_PATTERN)
            spelling[s->endpoint] = s->route;
        else if (!spelling[s->endpoint])
            spelling[s->endpoint] = i->record->route->text;
    }
    for (uint32_t e = 1; e < MODEL_ENDPOINTS; e++) {
        struct model_interest any = {.endpoint = e};
        if (spelling[e])
            sum += hash_of(&any, spelling[e]);
    }
    return sum;
}
