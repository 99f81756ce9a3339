/* weftd --check: what a daemon with this configuration would do, a line for each thing. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/memory.h"
#include "../common/units.h"
#include "config.h"

const char *config_schedule(const weft_dial_options *dial, char buf[SCHEDULE_TEXT])
{
    char first[UNITS_TEXT], longest[UNITS_TEXT], how[64] = "for ever";
    if (!dial->persistent)
        snprintf(how, sizeof(how), "gives up after %" PRIu32 " failures", dial->max_attempts);
    snprintf(buf, SCHEDULE_TEXT, "%s, pauses from %s to %s growing by %.4g", how,
             duration_format(dial->backoff_ms, first),
             duration_format(dial->max_backoff_ms, longest), (double)dial->multiplier);
    return buf;
}

/* The folder a file is made in must be there. `len` bytes of `file` are looked at. */
static void check_folder(const char *setting, const char *file, size_t len,
                         struct problems *problems)
{
    struct stat st;
    while (len > 0 && file[len - 1] != '/')
        len--;
    char *folder = len == 0 ? xcopy(".", 1) : xcopy(file, len == 1 ? 1 : len - 1);
    if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        problems_add(problems, 0, 0,
                     "%s: the folder %s does not exist; make it (mkdir -p %s) or name another",
                     setting, folder, folder);
    xfree(folder);
}

/* A unix socket's file ends with the first component in ".sock", else before the last one. */
static void explain_listen(const char *setting, const char *url, struct problems *problems)
{
    printf("listens on    %s\n", url);
    if (strncmp(url, "unix://", 7) != 0)
        return;
    const char *file = url + 7, *end = strstr(file, ".sock/");
    size_t len = strlen(file);
    if (end)
        len = (size_t)(end - file);
    else if (len < 5 || strcmp(file + len - 5, ".sock") != 0)
        len = (size_t)(strrchr(file, '/') - file);
    check_folder(setting, file, len, problems);
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
    check_folder("addrbook", file, strlen(file), problems);
}

static void explain_http(const char *address, struct problems *problems)
{
    printf("http          %s\n", address);
    if (strncmp(address, "unix:", 5) == 0)
        check_folder("http.listen", address + 5, strlen(address + 5), problems);
}

void config_explain(const struct config *config, struct problems *problems)
{
    static const char *const roles[] = {"", "peer", "client", "leaf"};
    char frame[UNITS_TEXT], outbox[UNITS_TEXT], schedule[SCHEDULE_TEXT];
    char warning[WARNING_TEXT];
    printf("role          %s\n", roles[config_role(config)]);
    if (config->self)
        explain_listen("self", config->self, problems);
    for (size_t i = 0; i < config->listen.count; i++)
        explain_listen("listen", config->listen.items[i], problems);
    if (config->advertise)
        printf("advertises    %s\n", config->advertise);
    if (!config->self && config->path)
        printf("path          %s\n", config->path);
    for (size_t i = 0; i < config->peer_count; i++)
        printf("dials         %s, %s\n", config->peers[i].url,
               config_schedule(&config->peers[i].dial, schedule));
    printf("network       %s%s\n",
           config->network ? config->network : "none: it meets only nodes without one",
           config->network && config->allow_base ? ", and base peers" : "");
    explain_addrbook(config->addrbook, problems);
    printf("limits        %s a frame, %" PRIu64 " peers, %" PRIu64
           " routes, %s queued for a peer\n",
           size_format(config->max_frame, frame), config->max_peers, config->max_routes,
           size_format(config->outbox, outbox));
    printf("access        asked by %s, steered by %s\n", config_access_name(config->info),
           config_access_name(config->control));
    printf("log           %s, format %s\n", config_level_name(config->log),
           config_format_name(config->log_format));
    if (config->pid_file) {
        printf("pid file      %s\n", config->pid_file);
        check_folder("pid_file", config->pid_file, strlen(config->pid_file), problems);
    }
    for (size_t i = 0; i < config->http.listen.count; i++)
        explain_http(config->http.listen.items[i], problems);
    if (config_warning(config, warning))
        printf("warning       %s\n", warning);
}
