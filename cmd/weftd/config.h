/* What weftd is told: the file, with the command line on top. */
#ifndef WEFTD_CONFIG_H
#define WEFTD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/weft.h>

#include "../common/names.h"
#include "log.h"
#include "problems.h"

struct config_peer {
    char *url;
    weft_dial_options dial;
};

/* The HTTP listener. */
struct config_http {
    struct names listen; /* as http_address_parse takes them; empty: off */
    struct names names;  /* host names it is asked by, besides localhost */
    bool remote;         /* other hosts may ask */
};

struct config {
    char *self;          /* NULL: dial only */
    char *advertise;     /* NULL: as self */
    char *network;       /* NULL: none */
    char *path;          /* NULL: empty, or that of self */
    char *addrbook;      /* NULL: memory only */
    char *pid_file;      /* NULL: none */
    struct names listen; /* besides self */
    struct config_peer *peers;
    size_t peer_count; /* at most NAMES_MAX */
    bool allow_base;
    uint64_t role;          /* enum weft_role */
    uint64_t log;           /* enum weft_log_level */
    uint64_t log_format;    /* enum log_format */
    uint64_t info, control; /* enum weft_access: who may ask, and who may steer */
    uint32_t linger_ms;
    uint64_t max_frame, max_peers, max_routes, outbox;
    struct config_http http;
};

/* Fill with the defaults of the library. */
void config_init(struct config *config);
void config_fini(struct config *config);

/* Read a YAML file over what is there. Everything wrong with it is added to `problems`, whose
 * `file` is set to `file`; what was right is taken all the same. */
void config_read(struct config *config, const char *file, struct problems *problems);

/* The same of a file's text. */
void config_parse(struct config *config, const char *text, size_t size, struct problems *problems);

/* As a line of the file would: for the command line. The URL is checked; the message names
 * `option`. -l replaces self at the first use (*listens counts them) and adds to listen at the
 * others. */
void config_add_listen(struct config *config, const char *url, size_t *listens,
                       struct problems *problems);
void config_add_peer(struct config *config, const char *url, struct problems *problems);

/* Take "error", "warn", "info" or "debug"; and "auto", "text", "json" or "journal". False: it is
 * none of them, nothing is changed. */
bool config_set_log(struct config *config, const char *level);
bool config_set_log_format(struct config *config, const char *format);

/* A value as the file spells it. */
const char *config_level_name(uint64_t level);
const char *config_format_name(uint64_t format);
const char *config_access_name(uint64_t access);

/* Find what no single line is to blame for: settings that contradict each other or that are
 * missing. */
void config_check(const struct config *config, struct problems *problems);

/* The role with AUTO resolved by all peers. */
enum weft_role config_role(const struct config *config);

/* "for ever, pauses from 1s to 1m growing by 1.5". Returns buf. */
#define SCHEDULE_TEXT 160
const char *config_schedule(const weft_dial_options *dial, char buf[SCHEDULE_TEXT]);

/* What works, and hardly as it was meant: a sentence in buf, which is returned, or NULL. Now: self
 * is on the loopback and a peer is not. */
#define WARNING_TEXT 1536
const char *config_warning(const struct config *config, char buf[WARNING_TEXT]);

/* Say on stdout what a daemon with this configuration would do. Opens nothing. Adds to `problems`
 * what can be seen to fail already. */
void config_explain(const struct config *config, struct problems *problems);

#endif
