/* weftd under a service manager: sd_notify(3). Without one ($NOTIFY_SOCKET) all this does nothing.
 */
#ifndef WEFTD_SERVICE_H
#define WEFTD_SERVICE_H

#include <stdbool.h>

#include <weft/uv.h>

struct service {
    uv_timer_t watchdog; /* tells at half the time asked for that the loop turns */
    uv_timer_t status;   /* the counts are told a moment after they changed, not at each change */
    bool open;
    weft_node *node; /* whose counts are told; NULL: none */
};

void service_start(struct service *s, uv_loop_t *loop);
void service_ready(struct service *s, weft_node *node); /* it listens */
void service_changed(struct service *s);                /* links came or went */
void service_reloading(const struct service *s);
void service_reloaded(const struct service *s);
void service_stopping(struct service *s); /* the node is off limits from here on */
void service_close(struct service *s);    /* the timers; the loop sees them off */

#endif
