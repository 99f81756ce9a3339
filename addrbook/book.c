/* The book itself: entries come, are found, are shown, and go.
 *
 * An entry is known by its identity, scheme and address; path and query of its URL may change under
 * it. Making one is the only thing that allocates for the schedule, so that later nothing can keep
 * an entry from being dialled again. Removing one undoes all that refers to it: schedule, node,
 * source counts, a reservation.
 *
 * The book holds at most ADDRBOOK_ENTRIES_MAX. When it is full, whoever comes displaces the entry
 * that was reached longest ago among those that nobody configured, banned, dials or is linked to;
 * only if there is none is the newcomer refused. */
#include "addrbook/private.h"

#include <stdlib.h>

const struct addrbook_policy default_policy = {
    .persistent = false,
    .max_attempts = 10,
    .default_backoff_ns = NS_PER_SEC,
    .max_backoff_ns = 60 * NS_PER_SEC,
    .multiplier = 1.5f,
};

struct addrbook_policy addrbook_policy_complete(const struct addrbook_policy *policy)
{
    struct addrbook_policy p = *policy;
    if (!p.max_attempts)
        p.max_attempts = default_policy.max_attempts;
    if (!p.default_backoff_ns)
        p.default_backoff_ns = default_policy.default_backoff_ns;
    if (!p.max_backoff_ns)
        p.max_backoff_ns = default_policy.max_backoff_ns;
    if (!(p.multiplier >= 1.0f)) /* zero, negative, shrinking, NaN */
        p.multiplier = default_policy.multiplier;
    return p;
}

int identify(const char *text, struct url *ret_url, char ret_identity[URL_MAX + 1])
{
    int rc = url_parse(text, strlen(text), ret_url, NULL);
    if (rc < 0)
        return rc;
    url_identity(ret_url, ret_identity);
    return 0;
}

/* ---- The book ---- */

int addrbook_new(const struct addrbook_config *config, struct addrbook **ret_book)
{
    struct addrbook *book = mem_zalloc(sizeof(*book));
    if (!book)
        return WEFT_ENOMEM;
    int rc = identify(config->self, &book->self, book->self_identity);
    if (rc < 0) {
        mem_free(book);
        return rc;
    }
    memcpy(book->node_id, config->node_id, NODE_ID_SIZE);
    book->prng = config->prng;
    book->dials_all = config->dials_all;
    book->dirty = true; /* the node id is on no disk yet */
    marks_init(&book->own);
    marks_init(&book->departed);
    marks_init(&book->tombstones);
    *ret_book = book;
    return 0;
}

void addrbook_free(struct addrbook *book)
{
    if (!book)
        return;
    map_each (it, &book->by_id)
        entry_remove(book, container_of(it, struct entry, by_id));
    marks_fini(&book->own);
    marks_fini(&book->departed);
    marks_fini(&book->tombstones);
    for (unsigned kind = 0; kind < KINDS; kind++)
        mem_free(book->schedules[kind].slots);
    mem_free(book->scratch);
    mem_free(book);
}

bool is_own(const struct addrbook *book, const char *identity)
{
    return strcmp(book->self_identity, identity) == 0 || marks_until(&book->own, identity) > 0;
}

int addrbook_set_self(struct addrbook *book, const char *self)
{
    struct url url;
    char identity[URL_MAX + 1];
    int rc = identify(self, &url, identity);
    if (rc < 0)
        return rc;
    if (url_dialable(&book->self) && strcmp(identity, book->self_identity) != 0)
        marks_put(&book->own, book->self_identity, NEVER); /* still leads here */
    book->self = url;
    memcpy(book->self_identity, identity, sizeof(identity));
    struct entry *e = entry_by_identity(book, identity);
    if (e)
        entry_remove(book, e);
    return 0;
}

void addrbook_add_own(struct addrbook *book, const char *text)
{
    struct url url;
    char identity[URL_MAX + 1];
    if (identify(text, &url, identity) < 0 || !url_dialable(&url))
        return;
    if (strcmp(identity, book->self_identity) != 0)
        marks_put(&book->own, identity, NEVER);
    struct entry *e = entry_by_identity(book, identity);
    if (e)
        entry_remove(book, e);
}

void addrbook_drop_own(struct addrbook *book, const char *text)
{
    struct url url;
    char identity[URL_MAX + 1];
    if (identify(text, &url, identity) == 0)
        marks_drop(&book->own, identity);
}

/* ---- Sources ---- */

static struct source *source_get(struct addrbook *book, const char *text)
{
    size_t len = strnlen(text, TEXT_MAX);
    struct map_node *n = map_get(&book->sources, text, len);
    if (n) {
        struct source *known = container_of(n, struct source, by_text);
        known->refs++;
        return known;
    }
    struct source *s = mem_zalloc(sizeof(*s) + len + 1);
    if (!s)
        return NULL;
    memcpy(s->text, text, len);
    s->refs = 1;
    if (map_put(&book->sources, &s->by_text, s->text, len) < 0) {
        mem_free(s);
        return NULL;
    }
    return s;
}

static void source_put(struct addrbook *book, struct source *s)
{
    if (--s->refs)
        return;
    map_del(&book->sources, &s->by_text);
    mem_free(s);
}

/* ---- Entries ---- */

struct entry *entry_by_id(const struct addrbook *book, uint32_t id)
{
    struct map_node *n = map_get(&book->by_id, &id, sizeof(id));
    return n ? container_of(n, struct entry, by_id) : NULL;
}

struct entry *entry_by_identity(const struct addrbook *book, const char *identity)
{
    struct map_node *n = map_get(&book->by_identity, identity, strlen(identity));
    return n ? container_of(n, struct entry, by_identity) : NULL;
}

int entry_lookup(const struct addrbook *book, const char *text, struct entry **ret_entry)
{
    struct url url;
    char identity[URL_MAX + 1];
    int rc = identify(text, &url, identity);
    if (rc < 0)
        return rc;
    struct entry *e = entry_by_identity(book, identity);
    if (!e)
        return WEFT_ENOTFOUND;
    *ret_entry = e;
    return 0;
}

static bool grow(struct entry ***array, size_t cap)
{
    struct entry **grown = mem_realloc(*array, cap * sizeof(*grown));
    if (grown)
        *array = grown;
    return grown != NULL;
}

/* The arrays grow together: none may be the one that is too small. */
static int reserve_slot(struct addrbook *book)
{
    if (map_count(&book->by_id) < book->cap)
        return 0;
    size_t cap = book->cap ? book->cap * 2 : 16;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (!grow(&book->schedules[kind].slots, cap))
            return WEFT_ENOMEM;
    }
    if (!grow(&book->scratch, cap))
        return WEFT_ENOMEM;
    book->cap = cap;
    return 0;
}

static bool expendable(const struct entry *e, uint64_t wall_ns)
{
    return !entry_configured(e) && !e->policy.persistent && !e->dialing && !entry_linked(e) &&
           !entry_banned(e, wall_ns);
}

static int make_room(struct addrbook *book, uint64_t wall_ns)
{
    if (map_count(&book->by_id) < ADDRBOOK_ENTRIES_MAX)
        return reserve_slot(book);
    struct entry *victim = NULL;
    map_each (it, &book->by_id) {
        struct entry *e = container_of(it, struct entry, by_id);
        if (expendable(e, wall_ns) && (!victim || e->last_success < victim->last_success))
            victim = e;
    }
    if (!victim)
        return WEFT_ELIMIT;
    entry_remove(book, victim);
    return 0;
}

static uint32_t unused_id(struct addrbook *book)
{
    do
        book->last_id++;
    while (!book->last_id || entry_by_id(book, book->last_id));
    return book->last_id;
}

static void count_unproven(struct addrbook *book, struct entry *e)
{
    e->counted = true;
    e->source->unproven++;
    book->unproven++;
}

static bool is_bare(const char *peer)
{
    struct url url;
    return url_parse(peer, strlen(peer), &url, NULL) < 0 || (!url.path[0] && !url.query[0]);
}

int entry_new(struct addrbook *book, const char *peer, const char *identity,
              enum weft_origin origin, const char *source, struct moment now,
              struct entry **ret_entry)
{
    int rc = make_room(book, now.wall_ns);
    if (rc < 0)
        return rc;
    size_t len = strlen(identity);
    struct entry *e = mem_zalloc(sizeof(*e) + len + 1);
    if (!e)
        return WEFT_ENOMEM;
    memcpy(e->identity, identity, len);
    list_init(&e->in_node);
    e->slot = UNSCHEDULED;
    e->next_dial = NEVER;
    e->policy = default_policy;
    e->origin = origin;
    e->added = now.wall_ns;
    e->id = unused_id(book);
    rc = WEFT_ENOMEM;
    e->peer = mem_strdup(peer);
    if (!e->peer)
        goto fail_entry;
    e->bare = is_bare(peer);
    e->source = source_get(book, source);
    if (!e->source)
        goto fail_peer;
    rc = map_put(&book->by_id, &e->by_id, &e->id, sizeof(e->id));
    if (rc < 0)
        goto fail_source;
    rc = map_put(&book->by_identity, &e->by_identity, e->identity, len);
    if (rc < 0)
        goto fail_by_id;
    if (origin == WEFT_ORIGIN_GOSSIP)
        count_unproven(book, e);
    marks_drop(&book->tombstones, identity);
    book->dirty = true;
    *ret_entry = e;
    return 0;

fail_by_id:
    map_del(&book->by_id, &e->by_id);
fail_source:
    source_put(book, e->source);
fail_peer:
    mem_free(e->peer);
fail_entry:
    mem_free(e);
    return rc;
}

void entry_remove(struct addrbook *book, struct entry *e)
{
    release_dial(book, e);
    schedule_drop(book, e);
    name_detach(book, e);
    entry_proven(book, e);
    source_put(book, e->source);
    map_del(&book->by_id, &e->by_id);
    map_del(&book->by_identity, &e->by_identity);
    mem_free(e->peer);
    mem_free(e->error_text);
    mem_free(e);
    book->dirty = true;
}

void entry_proven(struct addrbook *book, struct entry *e)
{
    if (!e->counted)
        return;
    bool scheduled = e->slot != UNSCHEDULED;
    uint64_t polite_until = e->polite_until;
    schedule_drop(book, e);
    book->out[KIND_HEARSAY] -= e->dialing;
    book->out[KIND_VOUCHED] += e->dialing;
    e->counted = false;
    e->source->unproven--;
    book->unproven--;
    if (!scheduled)
        return;
    schedule_at(book, e, e->next_dial);
    e->polite_until = polite_until;
}

void entry_set_peer(struct addrbook *book, struct entry *e, const char *peer)
{
    if (strcmp(e->peer, peer) == 0)
        return;
    char *copy = mem_strdup(peer);
    if (!copy)
        return;
    mem_free(e->peer);
    e->peer = copy;
    e->bare = is_bare(copy);
    book->dirty = true;
}

void entry_set_error(struct addrbook *book, struct entry *e, int error, const char *text)
{
    if (!error && (!text || !*text))
        return;
    char *copy = text && *text ? mem_strndup(text, strnlen(text, TEXT_MAX)) : NULL;
    struct entry next = {.error = error, .error_text = copy};
    if (strcmp(entry_last_error(e), entry_last_error(&next)) != 0)
        book->dirty = true;
    mem_free(e->error_text);
    e->error_text = copy;
    e->error = error;
}

const char *entry_last_error(const struct entry *e)
{
    if (e->error_text)
        return e->error_text;
    return e->error ? weft_strerror(e->error) : "";
}

/* ---- Looking ---- */

void entry_view(const struct entry *e, struct addrbook_view *ret_view)
{
    *ret_view = (struct addrbook_view){
        .id = e->id,
        .peer = e->peer,
        .source = e->source->text,
        .last_error = entry_last_error(e),
        .policy = e->policy,
        .attempts = e->attempts,
        .failed_attempts = e->failures,
        .last_success = e->last_success,
        .backoff_ns = e->backoff_ns,
        .banned_until = e->banned_until,
        .added = e->added,
        .next_dial = e->slot == UNSCHEDULED ? NEVER : e->next_dial,
        .node_id = e->node && e->node->has_id ? e->node->id : NULL,
        .origin = e->origin,
        .configured = entry_configured(e),
        .in_config = e->in_config,
        .linked = entry_linked(e),
        .dialing = e->dialing,
        .kept = entry_kept(e),
        .given_up = entry_given_up(e),
        .node_banned_until = entry_banned_until(e),
    };
}

static int by_peer(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    int order = strcmp(x->peer, y->peer);
    return order ? order : strcmp(x->identity, y->identity);
}

struct entry **entries_sorted(const struct addrbook *book)
{
    size_t count = 0;
    map_each (it, &book->by_id)
        book->scratch[count++] = container_of(it, struct entry, by_id);
    if (count)
        qsort(book->scratch, count, sizeof(struct entry *), by_peer);
    return book->scratch;
}

void addrbook_each(const struct addrbook *book,
                   void (*fn)(void *ctx, const struct addrbook_view *view), void *ctx)
{
    struct entry **sorted = entries_sorted(book);
    size_t count = addrbook_count(book);
    for (size_t i = 0; i < count; i++) {
        struct addrbook_view view;
        entry_view(sorted[i], &view);
        fn(ctx, &view);
    }
}

size_t addrbook_count(const struct addrbook *book)
{
    return map_count(&book->by_id);
}

bool addrbook_find(const struct addrbook *book, const char *text, struct addrbook_view *ret_view)
{
    struct entry *e;
    if (entry_lookup(book, text, &e) < 0)
        return false;
    entry_view(e, ret_view);
    return true;
}
