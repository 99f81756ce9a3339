/* What a new configuration changes in a daemon that runs with an older one. */
#ifndef WEFTD_RELOAD_H
#define WEFTD_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

enum change_kind {
    CHANGE_PEER_ADDED,
    CHANGE_PEER_DROPPED,
    CHANGE_PEER_SCHEDULE,
    CHANGE_SETTING, /* one that is applied at once */
    CHANGE_RESTART, /* one that takes a restart */
};

struct change {
    enum change_kind kind;
    const char *setting;           /* "peers", "limits.outbox", "self" */
    char *peer;                    /* of the first three kinds: its URL */
    char *from, *to;               /* as the file would spell it; NULL: there is none */
    const weft_dial_options *dial; /* of the new schedule; borrowed from the new configuration */
    bool stays;                    /* dropped, but an operator added it: all there is to say */
    int error;                     /* WEFT_E… where it could not be applied */
};

struct changes {
    struct change *list; /* dropped peers first, then new ones, then settings */
    size_t count;
};

/* What leads from `old` to `new`. Pure: nothing is opened or applied. */
void config_diff(const struct config *old, const struct config *new, struct changes *ret_changes);
void changes_fini(struct changes *changes);

/* A sentence on a change: "dials tcp://…", or what it would be. */
#define CHANGE_TEXT 1536
const char *change_text(const struct change *change, bool dry_run, char buf[CHANGE_TEXT]);

/* Take over into the running configuration what has been applied: settings that take a restart stay
 * as they are, so that they are told again the next time, and so do changes with an error. `next`
 * is left as something to be given to config_fini. */
void config_adopt(struct config *running, struct config *next, const struct changes *changes);

#endif
