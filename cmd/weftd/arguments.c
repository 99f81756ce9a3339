/* The command line is checked word by word; what it says is laid over the file. */
#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "../common/memory.h"
#include "../common/suggest.h"
#include "daemon.h"

static const char help[] =
    "usage: weftd [-c FILE] [-l URL]... [-P URL]... [--addrbook FILE]\n"
    "             [--pid-file FILE] [--log LEVEL] [--log-format FORMAT] [--check]\n"
    "\n"
    "The weft router: a well-known node of the mesh that programs on this host\n"
    "attach to. It stays in the foreground, logs to stderr, and says \"listening on\n"
    "URL\" on stdout when it is up. SIGTERM and SIGINT close it down gracefully; a\n"
    "second one ends it at once. SIGHUP reads FILE anew and applies what can be\n"
    "changed without breaking a link that stays (the same as 'weft reload URL',\n"
    "which shows it); without -c it closes down, too. A unix socket has the\n"
    "permissions the umask leaves; one that nobody listens on is replaced.\n"
    "\n"
    "  -c, --config FILE    read this YAML file\n"
    "  -l, --listen URL     listen here; replaces self of the file, a second -l adds\n"
    "                       to listen\n"
    "  -P, --peer URL       dial this peer for ever; adds to peers of the file\n"
    "      --addrbook FILE  keep the address book and the node id in this file\n"
    "      --log LEVEL      error, warn, info (default) or debug\n"
    "      --log-format F   text, json, journal, or auto (default: the journal under\n"
    "                       systemd, else text)\n"
    "      --pid-file FILE  write the process id here; locked as long as weftd runs\n"
    "      --check          check everything, say what would be done, and open\n"
    "                       nothing\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "The file (every setting may be left out):\n"
    "  self: tcp://0.0.0.0:7400/robot.base  # listen here, be known as this\n"
    "  network: lab                    # nodes of another network are refused\n"
    "  advertise: tcp://robot.lan:7400/robot.base\n"
    "  listen: [unix:///run/weft/weftd.sock/robot.base]\n"
    "  peers:\n"
    "    - tcp://10.0.0.2:7400/robot.arm\n"
    "    - {url: tcp://10.0.0.3:7400/robot.eye, persistent: false, max_attempts: 10,\n"
    "       backoff: 1s, max_backoff: 10s, multiplier: 1.5}\n"
    "  addrbook: /var/lib/weft/addrbook\n"
    "  limits: {max_frame: 4MiB, peers: 1024, routes: 1000000, outbox: 16MiB}\n"
    "  linger: 1s                      # how long closing waits for queues to drain\n"
    "  log: info                       # or {level: info, format: json}\n"
    "  access: {info: local, control: unix}  # none, unix, local or any\n"
    "  pid_file: /run/weft/weftd.pid\n"
    "  http: {listen: [127.0.0.1:7480]}  # metrics and a page (docs/metrics.md)\n"
    "  role: auto                      # peer, client or leaf\n"
    "  path: robot.base                # only without self\n"
    "  allow_base: false               # with a network: take dndm peers too\n"
    "\n"
    "Exit codes: 0 ended as told; 1 failure at run time (an address or a pid file in\n"
    "use, no permission), or a second signal; 2 wrong usage; 3 wrong configuration.\n"
    "With --check: 0 it is valid, 1 it is not.\n";

enum { OPTION_ADDRBOOK = 256, OPTION_LOG, OPTION_LOG_FORMAT, OPTION_PID_FILE, OPTION_CHECK };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"listen", required_argument, NULL, 'l'},
    {"peer", required_argument, NULL, 'P'},
    {"addrbook", required_argument, NULL, OPTION_ADDRBOOK},
    {"log", required_argument, NULL, OPTION_LOG},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"pid-file", required_argument, NULL, OPTION_PID_FILE},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static bool usage_error(struct arguments *a)
{
    fprintf(stderr, "See 'weftd --help'.\n");
    a->code = EXIT_USAGE;
    return false;
}

/* False: end with a->code. */
static bool take_option(int option, struct arguments *a)
{
    struct config scratch;
    switch (option) {
    case 'c':
        a->file = optarg;
        return true;
    case 'l':
        return names_add(&a->listen, optarg) || usage_error(a);
    case 'P':
        return names_add(&a->peers, optarg) || usage_error(a);
    case OPTION_ADDRBOOK:
        a->addrbook = optarg;
        return true;
    case OPTION_LOG:
        a->log = optarg;
        if (config_set_log(&scratch, optarg))
            return true;
        fprintf(stderr, "weftd: --log %s: expected error, warn, info or debug\n", optarg);
        return usage_error(a);
    case OPTION_LOG_FORMAT:
        a->log_format = optarg;
        if (config_set_log_format(&scratch, optarg))
            return true;
        fprintf(stderr, "weftd: --log-format %s: expected auto, text, json or journal\n", optarg);
        return usage_error(a);
    case OPTION_PID_FILE:
        a->pid_file = optarg;
        return true;
    case OPTION_CHECK:
        a->check = true;
        return true;
    case 'h':
        fputs(help, stdout);
        return false;
    case 'V':
        printf("weftd %s\n", weft_version());
        return false;
    default:
        return usage_error(a);
    }
}

bool arguments_parse(struct arguments *a, int argc, char **argv)
{
    int option;
    while ((option = suggest_getopt(argc, argv, "c:l:P:hV", options)) != -1)
        if (!take_option(option, a))
            return false;
    if (optind == argc)
        return true;
    fprintf(stderr,
            "weftd: '%s' is not understood; a configuration is given by -c FILE, a peer by "
            "-P URL\n",
            argv[optind]);
    return usage_error(a);
}

void arguments_gather(const struct arguments *a, struct config *config, struct problems *problems)
{
    size_t listens = 0;
    if (a->file)
        config_read(config, a->file, problems);
    for (size_t i = 0; i < a->listen.count; i++)
        config_add_listen(config, a->listen.items[i], &listens, problems);
    for (size_t i = 0; i < a->peers.count; i++)
        config_add_peer(config, a->peers.items[i], problems);
    if (a->addrbook)
        xreplace(&config->addrbook, a->addrbook);
    if (a->log)
        config_set_log(config, a->log);
    if (a->log_format)
        config_set_log_format(config, a->log_format);
    if (a->pid_file)
        xreplace(&config->pid_file, a->pid_file);
    if (problems->total == 0)
        config_check(config, problems);
}

void arguments_fini(struct arguments *a)
{
    names_fini(&a->listen);
    names_fini(&a->peers);
}
