/* An address book in four forms. */
#ifndef CMD_WEFT_BOOK_H
#define CMD_WEFT_BOOK_H

#include <weft/weft.h>

#include "../common/table.h"

/* Print to stdout. False: out of memory, or the output failed. */
bool book_print(const weft_addrbook *book, enum table_form form);

/* "linked", "banned", "failing" and so on, of an entry at a moment. */
const char *entry_state(const weft_addrbook_entry *e, uint64_t now_ns);

/* Did the configuration, the program or an operator name it? */
bool entry_configured(const weft_addrbook_entry *e);

#endif
