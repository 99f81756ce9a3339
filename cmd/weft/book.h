/* An address book in four forms. */
#ifndef CMD_WEFT_BOOK_H
#define CMD_WEFT_BOOK_H

#include <stdbool.h>

#include <weft/weft.h>

enum book_format { BOOK_TABLE, BOOK_JSON, BOOK_TSV, BOOK_TEXT };

/* Print to stdout. False: out of memory, or the output failed. */
bool book_print(const weft_addrbook *book, enum book_format format);

#endif
