/* Asking a node, and then each node that it is linked to. */
#ifndef CMD_WEFT_CRAWL_H
#define CMD_WEFT_CRAWL_H

#include "inspect.h"

#define CRAWL_MAX 64 /* nodes asked */

struct crawled {
    char *url; /* as it was asked */
    bool tells;
    struct answer answer; /* if it tells */
    char *why;            /* if it does not: a sentence, safe to print */
    bool unreached;       /* it does not, since no link was made, or no answer came over it */
};

struct crawl {
    struct crawled nodes[CRAWL_MAX]; /* the first is the one the inspector names */
    size_t count;
    size_t left_out; /* linked nodes beyond CRAWL_MAX */
};

enum crawl_reach {
    CRAWL_ALONE,  /* the one node */
    CRAWL_LINKED, /* and those that it is linked to */
    CRAWL_KNOWN   /* and those that it would like to be, or bans: we may reach them */
};

/* Ask the inspector's node (not opened before, closed after), and of its peers those within reach
 * that can be dialled, at the same time. EXIT_OK, or EXIT_FAILED after an explanation if the first
 * does not tell. Give back with crawl_fini in either case. */
int crawl(struct inspector *in, const weft_query *query, enum crawl_reach reach,
          struct crawl *ret_crawl);
void crawl_fini(struct crawl *c);

/* Ask the first node something else, `like` the crawl that has ended. False: it does not tell, and
 * nothing was printed. Give back with answer_fini. */
bool crawl_ask_more(const struct inspector *like, const weft_query *query, const struct crawl *c,
                    struct answer *ret_answer);

/* "these nodes do not tell": each with its reason, to stdout. */
void crawl_print_silent(const struct crawl *c);

/* [{"url", "why"}]; NULL: out of memory. */
json_t *crawl_silent_json(const struct crawl *c);

#endif
