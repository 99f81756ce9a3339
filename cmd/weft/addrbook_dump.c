/* weft addrbook dump: a book in four forms. */
#include "addrbook.h"
#include "book.h"

static int run_dump(struct job *job)
{
    weft_addrbook *book;
    int code = book_get(job, job->book, &book);
    if (code != EXIT_OK)
        return code;
    if (!book_print(book, job->form) || fflush(stdout) != 0)
        code = failure("cannot write the output");
    weft_addrbook_free(book);
    return code;
}

const struct verb dump_verb = {
    .command =
        {
            .name = "addrbook dump",
            .summary = "print all entries",
            .help =
                "usage: weft addrbook dump FILE|URL [--json | --tsv | --text] [options]\n"
                "\n"
                "Prints an address book. The default is a table as wide as the terminal; the\n"
                "other forms hold everything, exact. 'weft addrbook add --from' takes the JSON\n"
                "back.\n"
                "\n"
                "      --json          one JSON object, {\"addrbook\": [...]}\n"
                "      --tsv           a line an entry, fields separated by tabs, names first\n"
                "      --text          a paragraph an entry, \"name: value\" a "
                "line\n" ADDRBOOK_LINK_HELP "\n"
                "Colour is used on a terminal unless NO_COLOR is set. Exit codes: 0 printed; 1\n"
                "no such file or node, or it cannot be read; 2 wrong usage.\n",
        },
    .run = run_dump,
    .takes = TAKES_FORM | TAKES_LINK,
    .args_min = 0,
    .args_max = 0,
    .expected = "one file or URL",
};
