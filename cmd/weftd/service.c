/* What a service manager is told.
 *
 * Happy path: READY=1 once the node listens, STATUS= with the number of links each time that
 * changes, WATCHDOG=1 at half the interval of $WATCHDOG_USEC, RELOADING=1 and READY=1 around a
 * reload, STOPPING=1 at the end. The watchdog's timer is on the node's loop: a loop that stands
 * still is what it is there to find. It goes on while queues drain.
 *
 * Failure modes. A message that cannot be sent is lost; the manager will draw its conclusions. */
#include "service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#define STATUS_PAUSE_MS 200

static void tell_status(const struct service *s, const char *state)
{
    weft_stats stats;
    if (!s->node || weft_node_stats(s->node, &stats) < 0)
        return;
    sd_notifyf(0, "%sSTATUS=%s, %" PRIu32 " peers, %" PRIu32 " routes of others", state,
               weft_node_url(s->node), stats.peers, stats.remote_intents + stats.remote_interests);
}

static void on_watchdog(uv_timer_t *timer)
{
    sd_notify(0, "WATCHDOG=1");
}

static void on_status(uv_timer_t *timer)
{
    tell_status(timer->data, "");
}

void service_start(struct service *s, uv_loop_t *loop)
{
    uint64_t us = 0;
    if (!getenv("NOTIFY_SOCKET"))
        return;
    uv_timer_init(loop, &s->watchdog); /* neither can fail */
    uv_timer_init(loop, &s->status);
    s->status.data = s;
    s->open = true;
    if (sd_watchdog_enabled(0, &us) > 0)
        uv_timer_start(&s->watchdog, on_watchdog, us / 2000, us >= 2000 ? us / 2000 : 1);
}

void service_ready(struct service *s, weft_node *node)
{
    s->node = node;
    if (s->open)
        tell_status(s, "READY=1\n");
}

void service_changed(struct service *s)
{
    if (s->open && s->node && !uv_is_active((uv_handle_t *)&s->status))
        uv_timer_start(&s->status, on_status, STATUS_PAUSE_MS, 0);
}

void service_reloading(const struct service *s)
{
    struct timespec now;
    if (!s->open)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void service_reloaded(const struct service *s)
{
    if (s->open)
        tell_status(s, "READY=1\n");
}

void service_stopping(struct service *s)
{
    s->node = NULL;
    if (!s->open)
        return;
    uv_timer_stop(&s->status);
    sd_notify(0, "STOPPING=1\nSTATUS=closing down");
}

void service_close(struct service *s)
{
    if (!s->open)
        return;
    s->open = false;
    uv_close((uv_handle_t *)&s->watchdog, NULL);
    uv_close((uv_handle_t *)&s->status, NULL);
}
