/* weftd --check: what a daemon with this configuration would do, a line for each thing. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/memory.h"
#include "../common/units.h"
#include "config.h"

static void explain_peer(const struct config_peer *peer)
{
    char first[UNITS_TEXT], longest[UNITS_TEXT];
    printf("dials         %s, ", peer->url);
    if (peer->dial.persistent)
        printf("for ever");
    else
        printf("gives up after %" PRIu32 " failures", peer->dial.max_attempts);
    printf(", pauses from %s to %s growing by %.4g\n",
           duration_format(peer->dial.backoff_ms, first),
           duration_format(peer->dial.max_backoff_ms, longest), (double)peer->dial.multiplier);
}

/* The book is written beside itself and renamed, so what counts is its folder. */
static void explain_addrbook(const char *file, struct problems *problems)
{
    struct stat st;
    if (!file) {
        printf("address book  in memory only\n");
        return;
    }
    bool exists = stat(file, &st) == 0;
    printf("address book  %s%s\n", file, exists ? "" : " (will be made)");
    if (exists && !S_ISREG(st.st_mode)) {
        problems_add(problems, 0, 0, "addrbook: %s is not a file; name one inside of it", file);
        return;
    }
    const char *slash = strrchr(file, '/');
    char *folder = !slash ? xcopy(".", 1) : xcopy(file, slash == file ? 1 : (size_t)(slash - file));
    if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        problems_add(
            problems, 0, 0,
            "addrbook: the folder %s does not exist; make it (mkdir -p %s) or name another", folder,
            folder);
    xfree(folder);
}

void config_explain(const struct config *config, struct problems *problems)
{
    static const char *const roles[] = {"", "peer", "client", "leaf"};
    char frame[UNITS_TEXT], outbox[UNITS_TEXT];
    printf("role          %s\n", roles[config_role(config)]);
    if (config->self)
        printf("listens on    %s\n", config->self);
    for (size_t i = 0; i < config->listen.count; i++)
        printf("listens on    %s\n", config->listen.items[i]);
    if (config->advertise)
        printf("advertises    %s\n", config->advertise);
    if (!config->self && config->path)
        printf("path          %s\n", config->path);
    for (size_t i = 0; i < config->peer_count; i++)
        explain_peer(&config->peers[i]);
    printf("network       %s%s\n", config->network ? config->network : "any",
           config->network && config->allow_base ? ", and base peers" : "");
    explain_addrbook(config->addrbook, problems);
    printf("limits        %s a frame, %" PRIu64 " peers, %" PRIu64
           " routes, %s queued for a peer\n",
           size_format(config->max_frame, frame), config->max_peers, config->max_routes,
           size_format(config->outbox, outbox));
}
