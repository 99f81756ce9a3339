/* weft addrbook dump: the address book of a file, or of a live node, asked over a link that serves
 * for nothing else. */
#include <stdio.h>
#include <string.h>

#include "../common/escape.h"
#include "../common/memory.h"
#include "../common/units.h"
#include "book.h"
#include "command.h"

enum { OPTION_TIMEOUT = OPTION_OWN, OPTION_JSON, OPTION_TSV, OPTION_TEXT };

static const struct option options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"tsv", no_argument, NULL, OPTION_TSV},
    {"text", no_argument, NULL, OPTION_TEXT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"network", required_argument, NULL, OPTION_NETWORK},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct dump {
    struct link_options link;
    const char *from; /* file or URL */
    enum book_format format;
    bool has_format;
    uint32_t timeout_ms;
};

static int take_option(int option, struct dump *d)
{
    if (option == OPTION_TIMEOUT) {
        if (parse_seconds(optarg, &d->timeout_ms) && d->timeout_ms && d->timeout_ms <= 3600000)
            return EXIT_OK;
        return usage_error(&addrbook_command, "--timeout %s: expected seconds or %s, up to 1h",
                           optarg, DURATION_EXPECTED);
    }
    if (d->has_format)
        return usage_error(&addrbook_command, "give one of --json, --tsv and --text");
    d->has_format = true;
    d->format = option == OPTION_JSON ? BOOK_JSON : option == OPTION_TSV ? BOOK_TSV : BOOK_TEXT;
    return EXIT_OK;
}

static int parse(int argc, char **argv, struct dump *d, bool *ret_done)
{
    int option, code = EXIT_OK;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int taken = link_option(option, &addrbook_command, &d->link, &code);
        if (taken < 0) {
            *ret_done = true;
            return code;
        }
        if (taken == 0 && (code = take_option(option, d)) != EXIT_OK)
            return code;
    }
    if (optind == argc || strcmp(argv[optind], "dump") != 0)
        return usage_error(&addrbook_command, "expected 'dump'%s%s",
                           optind < argc ? ", found " : "", optind < argc ? argv[optind] : "");
    if (argc - optind != 2)
        return usage_error(&addrbook_command, "expected one file or URL after dump");
    d->from = argv[optind + 1];
    if (!strstr(d->from, "://"))
        return EXIT_OK;
    optarg = argv[optind + 1];
    return link_option('P', &addrbook_command, &d->link, &code) < 0 ? code : EXIT_OK;
}

/* ---- Getting the book
 * ---------------------------------------------------------------------------- */

static int load(const struct dump *d, weft_addrbook **ret_book)
{
    int rc = weft_addrbook_load(d->from, ret_book);
    if (rc == 0)
        return EXIT_OK;
    return failure("%s: %s%s", d->from, weft_strerror(rc),
                   rc == WEFT_ENOTFOUND  ? "; a live node is asked by its URL"
                   : rc == WEFT_ECORRUPT ? "; it is no address book, or was damaged"
                   : rc == WEFT_EVERSION ? "; a newer weft wrote it"
                                         : "");
}

static int ask(struct session *s, const struct dump *d, weft_addrbook **ret_book)
{
    int code = session_wait_link(s, d->from, deadline_after(d->timeout_ms));
    if (code != EXIT_OK)
        return code;
    int rc = weft_node_fetch_addrbook(s->node, s->peer, (int)d->timeout_ms, ret_book);
    if (rc == 0)
        return EXIT_OK;
    return failure("%s did not give its address book: %s", s->peer, weft_strerror(rc));
}

static int fetch(const struct dump *d, weft_addrbook **ret_book)
{
    struct session s = {.quiet = true};
    weft_options o;
    session_options(&d->link, &o);
    o.role = WEFT_ROLE_LEAF;
    o.linger_ms = 1000;
    int code = session_open(&s, &o);
    if (code != EXIT_OK)
        return code;
    code = ask(&s, d, ret_book);
    session_close(&s);
    return code;
}

static int dump(const struct dump *d)
{
    weft_addrbook *book;
    int code = d->link.peers.count ? fetch(d, &book) : load(d, &book);
    if (code != EXIT_OK)
        return code;
    if (!book_print(book, d->format) || fflush(stdout) != 0)
        code = failure("cannot write the output");
    weft_addrbook_free(book);
    return code;
}

static int run(int argc, char **argv)
{
    struct dump d = {.timeout_ms = 5000, .format = BOOK_TABLE};
    bool done = false;
    int code = parse(argc, argv, &d, &done);
    if (code == EXIT_OK && !done)
        code = dump(&d);
    link_fini(&d.link);
    return code;
}

const struct command addrbook_command = {
    .name = "addrbook",
    .run = run,
    .summary = "look into the address book of a file or a live node",
    .help =
        "usage: weft addrbook dump FILE|URL [--json | --tsv | --text] [options]\n"
        "\n"
        "Prints an address book: of a file (which may be in use), or, where there is a \"://\", "
        "of\n"
        "the live node at that URL. The default is a table as wide as the terminal.\n"
        "\n"
        "      --json          one JSON object, {\"addrbook\": [...]}\n"
        "      --tsv           a line an entry, fields separated by tabs, with a line of names\n"
        "      --text          a paragraph an entry, \"name: value\" a line\n"
        "      --timeout S     URL: seconds to wait for the link and for the answer (default 5)\n"
        "      --network NAME  URL: the mesh's network name, where it has one\n"
        "  -h, --help          this text\n"
        "\n"
        "Colour is used on a terminal unless NO_COLOR is set.\n"
        "Exit codes: 0 printed; 1 no such file or node, or it cannot be read; 2 wrong usage.\n",
};
