/* What went wrong lately.
 *
 * Every event that tells of trouble is kept, the last 64. The same again (type, peer, route and
 * error) counts up in place and moves to the end, so that a peer that cannot be reached for a day
 * does not push everything else out. Texts may come from peers: they are cut to what a line takes.
 */
#include <string.h>

#include "base/mem.h"
#include "node/report.h"

#define TEXT_KEPT 1024u

struct incident {
    struct list node;
    weft_incident kept; /* strings are owned, never NULL */
};

static void incident_free(struct incident *i)
{
    mem_free((char *)(uintptr_t)i->kept.peer);
    mem_free((char *)(uintptr_t)i->kept.route);
    mem_free((char *)(uintptr_t)i->kept.text);
    mem_free(i);
}

void incidents_init(struct incidents *incidents)
{
    list_init(&incidents->items);
    incidents->count = 0;
}

void incidents_fini(struct incidents *incidents)
{
    struct list *it;
    while ((it = list_pop(&incidents->items)) != NULL)
        incident_free(list_entry(it, struct incident, node));
}

static bool is_incident(const weft_event *event)
{
    switch (event->type) {
    case WEFT_EVENT_PEER_DOWN:
        return event->error && event->error != WEFT_ESHUTDOWN; /* a goodbye is in order */
    case WEFT_EVENT_REFUSED:
    case WEFT_EVENT_DIAL_FAILED:
    case WEFT_EVENT_ROUTE_REFUSED:
    case WEFT_EVENT_ADDRBOOK:
    case WEFT_EVENT_WARNING:
        return true;
    default:
        return false;
    }
}

static bool same_text(const char *kept, const char *text)
{
    return strncmp(kept, text ? text : "", TEXT_KEPT) == 0;
}

static struct incident *find_same(const struct incidents *incidents, const weft_event *event)
{
    list_each (it, &incidents->items) {
        struct incident *i = list_entry(it, struct incident, node);
        if (i->kept.type == event->type && i->kept.error == event->error &&
            same_text(i->kept.peer, event->peer) && same_text(i->kept.route, event->route))
            return i;
    }
    return NULL;
}

static bool keep_text(const char **to, const char *text)
{
    *to = text ? mem_strndup(text, strnlen(text, TEXT_KEPT)) : mem_strdup("");
    return *to != NULL;
}

static struct incident *incident_new(const weft_event *event)
{
    struct incident *i = mem_zalloc(sizeof(*i));
    if (!i)
        return NULL;
    i->kept.type = event->type;
    i->kept.error = event->error;
    if (keep_text(&i->kept.peer, event->peer) && keep_text(&i->kept.route, event->route) &&
        keep_text(&i->kept.text, event->text))
        return i;
    incident_free(i);
    return NULL;
}

/* The latest sentence says most. Out of memory keeps the old one. */
static void update_text(struct incident *i, const char *text)
{
    const char *latest;
    if (same_text(i->kept.text, text) || !keep_text(&latest, text))
        return;
    mem_free((char *)(uintptr_t)i->kept.text);
    i->kept.text = latest;
}

void incidents_note(struct incidents *incidents, const weft_event *event, uint64_t wall_ns)
{
    if (!is_incident(event))
        return;
    struct incident *i = find_same(incidents, event);
    if (i) {
        update_text(i, event->text);
        list_remove(&i->node);
    } else {
        i = incident_new(event);
        if (!i)
            return;
        if (incidents->count == INCIDENTS_MAX)
            incident_free(list_entry(list_pop(&incidents->items), struct incident, node));
        else
            incidents->count++;
    }
    i->kept.time = wall_ns;
    i->kept.count += i->kept.count < UINT32_MAX;
    list_push(&incidents->items, &i->node);
}

/* ---- Copies ---- */

static bool copy_incident(weft_incident *to, const weft_incident *from)
{
    *to = *from;
    to->peer = mem_strdup(from->peer);
    to->route = mem_strdup(from->route);
    to->text = mem_strdup(from->text);
    return to->peer && to->route && to->text;
}

int incidents_copy(const struct incidents *incidents, weft_incident **ret_items, size_t *ret_count)
{
    weft_incident *items = mem_zalloc((incidents->count + 1) * sizeof(*items));
    size_t count = 0;
    if (!items)
        return WEFT_ENOMEM;
    list_each (it, &incidents->items) {
        if (!copy_incident(&items[count++], &list_entry(it, struct incident, node)->kept)) {
            incidents_free(items, count);
            return WEFT_ENOMEM;
        }
    }
    *ret_items = items;
    *ret_count = count;
    return 0;
}

void incidents_free(weft_incident *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free((char *)(uintptr_t)items[i].peer);
        mem_free((char *)(uintptr_t)items[i].route);
        mem_free((char *)(uintptr_t)items[i].text);
    }
    mem_free(items);
}
