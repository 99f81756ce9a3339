/* Entry points and timers.
 *
 * The happy path of a node: the address book has a peer that is due, book_dial makes a link and
 * asks the owner to connect; mesh_opened starts the handshake; frames go to the file that handles
 * their kind; when the handshake is done the router learns of a new endpoint and its adverts are
 * flushed at the end of the step.
 *
 * Failure modes: whatever ends a link goes through link_end (link.c), which tells the other side,
 * the address book, the router and the owner, in this order, and frees it. An output that could not
 * be queued marks its link broken; mesh_settle ends broken links, and full state is sent anew on
 * the next one. */
#include "mesh/private.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

uint64_t mesh_stamp(struct mesh *m, struct moment now)
{
    m->last_stamp = max_u64(m->last_stamp + 1, now.wall_ns);
    return m->last_stamp;
}

uint64_t mesh_last_stamp(const struct mesh *m)
{
    return m->last_stamp;
}

void mesh_log(struct mesh *m, enum weft_log_level level, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    m->ops->log(m->ctx, level, text);
}

void mesh_event(struct mesh *m, enum weft_event_type type, const struct mesh_link *l,
                const char *route, int error, const char *text)
{
    weft_event event = {
        .type = type,
        .peer = l ? link_name(l) : NULL,
        .route = route,
        .error = error,
        .text = text,
    };
    m->ops->event(m->ctx, &event);
}

void mesh_route_event(struct mesh *m, const struct mesh_link *l, const char *route, bool intent,
                      int error, const char *text)
{
    weft_event event = {
        .type = WEFT_EVENT_ROUTE_REFUSED,
        .peer = l ? link_name(l) : NULL,
        .route = route,
        .error = error,
        .text = text,
        .intent = intent,
    };
    m->ops->event(m->ctx, &event);
}

static int mesh_init_self(struct mesh *m, const struct mesh_config *config)
{
    m->network = mem_strdup(config->network ? config->network : "");
    m->agent = mem_strdup(config->agent ? config->agent : "");
    if (!m->network || !m->agent)
        return WEFT_ENOMEM;
    m->self = m->given = config->self;
    m->me = (struct handshake_self){
        .me = m->self.text,
        .path = m->self.path,
        .advertised = config->advertised,
        .incarnation = config->incarnation,
        .network = m->network,
        .agent = m->agent,
        .allow_base = config->allow_base,
        .features = config->features,
        .max_frame = config->max_frame,
        .role = config->role,
    };
    memcpy(m->me.node_id, config->node_id, sizeof(m->me.node_id));
    m->asking = m->me;
    m->asking.me = m->given.text;
    return 0;
}

static int mesh_init_cores(struct mesh *m, const struct mesh_config *config)
{
    struct router_config router = {.max_routes = config->max_routes};
    int rc = router_new(&router, &m->router);
    if (rc < 0)
        return rc;
    struct addrbook_config book = {
        .self = m->self.text,
        .node_id = m->me.node_id,
        .prng = &m->prng,
        .dials_all = config->role != ROLE_PEER,
    };
    return addrbook_new(&book, &m->book);
}

int mesh_new(const struct mesh_config *config, const struct mesh_ops *ops, void *ctx,
             struct moment now, struct mesh **ret_mesh)
{
    struct mesh *m = mem_zalloc(sizeof(*m));
    if (!m)
        return WEFT_ENOMEM;
    m->ops = ops;
    m->ctx = ctx;
    m->max_peers = config->max_peers;
    m->announce_at = NEVER;
    m->last_stamp = now.wall_ns;
    list_init(&m->links);
    buf_init(&m->scratch, FRAME_MAX_LIMIT);
    prng_init(&m->prng, config->seed);
    int rc = mesh_init_self(m, config);
    if (rc == 0)
        rc = mesh_init_cores(m, config);
    if (rc < 0) {
        mesh_free(m);
        return rc;
    }
    *ret_mesh = m;
    return 0;
}

void mesh_free(struct mesh *m)
{
    if (!m)
        return;
    router_free(m->router);
    addrbook_free(m->book);
    buf_fini(&m->scratch);
    mem_free(m->timers);
    mem_free(m->network);
    mem_free(m->agent);
    mem_free(m);
}

struct router *mesh_router(struct mesh *m)
{
    return m->router;
}

struct addrbook *mesh_addrbook(struct mesh *m)
{
    return m->book;
}

const struct url *mesh_self(const struct mesh *m)
{
    return &m->self;
}

struct list *mesh_links(struct mesh *m)
{
    return &m->links;
}

uint32_t mesh_up_count(const struct mesh *m)
{
    return m->up;
}

void mesh_count(const struct mesh *m, struct mesh_counts *ret_counts)
{
    *ret_counts = m->counts;
}

int mesh_set_self(struct mesh *m, const struct url *self)
{
    int rc = addrbook_set_self(m->book, self->text);
    if (rc < 0)
        return rc;
    m->self = m->given = *self; /* m->me and m->asking point into them */
    return 0;
}

/* ---- Steps ---- */

static void end_one_broken(struct mesh *m, struct mesh_link *l, struct moment now)
{
    if (l->priv->overrun)
        link_end(m, l, WEFT_ELIMIT,
                 "too much waits for it unread: it must read as fast as it asks; the link starts "
                 "anew",
                 true, GOODBYE_PROTOCOL, now);
    else
        link_end(m, l, WEFT_ENOMEM, "out of memory; the link starts anew", true, GOODBYE_PROTOCOL,
                 now);
}

/* Did any end? */
static bool end_broken(struct mesh *m, struct moment now)
{
    bool any = false;
    if (!m->any_broken)
        return false;
    m->any_broken = false;
    list_each_safe (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (!l->priv->broken && !l->priv->handed_over)
            continue;
        any = true;
        if (l->priv->handed_over)
            handover_finish(m, l, now);
        else
            end_one_broken(m, l, now);
    }
    return any;
}

static void mark_broken(struct mesh *m)
{
    uint32_t id;
    while ((id = router_next_broken(m->router)) != 0) {
        list_each (it, &m->links) {
            struct mesh_link *l = list_entry(it, struct mesh_link, node);
            if (l->id == id)
                link_break(m, l);
        }
    }
}

static void schema_conflict(struct mesh *m, const struct router_notice *notice, struct moment now)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof(text),
             "schema of %s differs: %016llx here, %016llx there; build both sides from the same "
             ".proto file",
             str_text(notice->route), (unsigned long long)notice->ours,
             (unsigned long long)notice->theirs);
    struct mesh_link *from = NULL;
    list_each (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->id == notice->endpoint)
            from = l;
    }
    if (from && !from->hs.base)
        link_send_result(m, from, 0, WEFT_ESCHEMA, text, now);
    mesh_route_event(m, from, str_text(notice->route), false, WEFT_ESCHEMA, text);
}

static void drain_notices(struct mesh *m, struct moment now)
{
    struct router_notice notice;
    while (router_next_notice(m->router, &notice)) {
        if (notice.type == ROUTER_SCHEMA_CONFLICT)
            schema_conflict(m, &notice, now);
        else
            m->ops->matched(m->ctx, notice.interest, notice.type == ROUTER_INTEREST_MATCHED);
    }
}

void mesh_settle(struct mesh *m, struct moment now)
{
    if (!m->leaving)
        book_dial(m, now);
    do { /* the end of one link is news for the others */
        advert_flush(m, now);
        drain_notices(m, now);
        mark_broken(m);
    } while (end_broken(m, now));
}

uint64_t mesh_deadline(const struct mesh *m)
{
    uint64_t next = min_u64(timers_deadline(m), m->announce_at);
    return m->leaving ? NEVER : min_u64(next, addrbook_deadline(m->book));
}

void mesh_tick(struct mesh *m, struct moment now)
{
    struct mesh_link *l;
    if (m->announce_at <= now.mono_ns)
        gossip_announce(m, now);
    m->not_before = now.mono_ns + 1;
    m->sliced = false;
    while ((l = timers_next_due(m, now.mono_ns)) != NULL)
        live_tick(m, l, now);
    m->not_before = 0;
    mesh_settle(m, now);
}

void mesh_leave(struct mesh *m, struct moment now)
{
    m->leaving = true;
    list_each_safe (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->state == LINK_UP)
            gossip_depart(m, l, now);
        link_end(m, l, WEFT_ESHUTDOWN, "this node shuts down", true, GOODBYE_SHUTDOWN, now);
    }
}

/* ---- Requests ---- */

static bool leads_to(const struct mesh_link *l, const struct url *url)
{
    return (link_identified(l) && same_address(l->hs.peer.text, url)) ||
           same_address(l->priv->dialled, url);
}

struct mesh_link *mesh_find(struct mesh *m, const struct url *url)
{
    struct mesh_link *found = NULL;
    list_each (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (l->state != LINK_UP)
            continue;
        if (strcmp(l->hs.peer.text, url->text) == 0)
            return l;
        if (leads_to(l, url))
            found = l;
    }
    return found;
}

int mesh_ping(struct mesh *m, struct mesh_link *l, uint64_t token, struct moment now)
{
    for (unsigned i = 0; i < PINGS_MAX; i++) {
        if (l->priv->pings[i].nonce == 0) {
            live_ping(m, l, token, now);
            return 0;
        }
    }
    return WEFT_ELIMIT;
}

int mesh_ask_book(struct mesh *m, struct mesh_link *l, uint64_t token, struct moment now)
{
    if (!(l->hs.features & FEATURE_BOOK))
        return WEFT_ENOTSUP;
    if (l->priv->ask_token)
        return WEFT_ELIMIT;
    l->priv->ask_token = token;
    l->priv->ask_deadline = now.mono_ns + ASK_TIMEOUT_NS;
    link_arm(m, l, l->priv->ask_deadline);
    struct control c = {.type = MSG_ADDRBOOK};
    link_send(m, l, &c, LANE_CONTROL, true, now);
    return 0;
}

/* Whom a URL leads to: its node's id is known where a link has stood. */
struct wanted {
    struct url url;
    uint8_t id[16];
    bool has_id;
};

static int find_wanted(const struct mesh *m, const char *text, struct wanted *ret_wanted)
{
    struct addrbook_view view;
    if (url_parse(text, strlen(text), &ret_wanted->url, NULL) < 0)
        return WEFT_EURL;
    ret_wanted->has_id = addrbook_find(m->book, text, &view) && view.node_id;
    if (ret_wanted->has_id)
        memcpy(ret_wanted->id, view.node_id, sizeof(ret_wanted->id));
    return 0;
}

/* A link that it dialled has its own name for it, which need not be the one that we know. */
static bool is_wanted(const struct mesh_link *l, const struct wanted *w)
{
    return leads_to(l, &w->url) || (w->has_id && link_identified(l) && l->hs.has_node_id &&
                                    memcmp(l->hs.node_id, w->id, sizeof(w->id)) == 0);
}

/* End the links, for good. True: there were some. */
static bool send_off(struct mesh *m, const struct wanted *w, bool all, struct moment now)
{
    bool any = false;
    list_each_safe (it, &m->links) { /* one that is still being dialled would bring it back */
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        if (!is_wanted(l, w))
            continue;
        if (link_identified(l) && all)
            addrbook_forget(m->book, link_book_name(l), now);
        else if (link_identified(l))
            addrbook_unwanted(m->book, link_book_name(l), now);
        link_end(m, l, WEFT_EFORGOTTEN, "forgotten by the operator", true, GOODBYE_FORGOTTEN, now);
        any = true;
    }
    mesh_settle(m, now);
    return any;
}

int mesh_forget(struct mesh *m, const char *text, struct moment now)
{
    struct wanted w;
    int rc = find_wanted(m, text, &w);
    if (rc < 0)
        return rc;
    rc = addrbook_forget(m->book, text, now);
    return send_off(m, &w, true, now) ? 0 : rc;
}

int mesh_unconfigure(struct mesh *m, const char *text, struct moment now)
{
    struct wanted w;
    int rc = find_wanted(m, text, &w);
    if (rc < 0)
        return rc;
    rc = addrbook_unconfigure(m->book, text, now);
    if (rc == 1)
        return rc;
    return send_off(m, &w, false, now) ? 0 : rc;
}

static bool is_banned(struct mesh *m, const struct mesh_link *l, struct moment now)
{
    const uint8_t *id = l->hs.has_node_id ? l->hs.node_id : NULL;
    return addrbook_banned(m->book, link_name(l), id, now);
}

int mesh_ban(struct mesh *m, const char *text, uint64_t until_wall_ns, struct moment now)
{
    struct url url;
    if (url_parse(text, strlen(text), &url, NULL) < 0)
        return WEFT_EURL;
    int rc = until_wall_ns ? addrbook_add_banned(m->book, text, until_wall_ns, now)
                           : addrbook_ban(m->book, text, 0, now);
    if (rc < 0)
        return rc;
    list_each_safe (it, &m->links) {
        struct mesh_link *l = list_entry(it, struct mesh_link, node);
        bool led = leads_to(l, &url);
        if (led && link_identified(l)) /* it is refused by the name it gives, whatever we dialled */
            addrbook_ban(m->book, l->hs.peer.text, until_wall_ns, now);
        if (until_wall_ns > now.wall_ns && (led || is_banned(m, l, now)))
            link_end(m, l, WEFT_EDENIED, "banned here by the operator", true, GOODBYE_BANNED, now);
    }
    mesh_settle(m, now);
    return 0;
}

void mesh_set_limits(struct mesh *m, uint32_t max_frame, uint32_t max_peers, uint32_t max_routes)
{
    m->me.max_frame = m->asking.max_frame = max_frame;
    m->max_peers = max_peers;
    router_set_max(m->router, max_routes);
}

/* ---- Looking ---- */

const char *mesh_link_name(const struct mesh_link *l)
{
    return link_name(l);
}

const char *mesh_link_dialled(const struct mesh_link *l)
{
    return l->priv->dialled;
}
