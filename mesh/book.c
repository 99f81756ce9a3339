/* The address book's part in the mesh: dialling what is due, and telling the book to who asks for
 * it (docs/protocol.md section 6). */
#include "mesh/private.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static void dial(struct mesh *m, const struct addrbook_dial *due, struct moment now)
{
    struct url url;
    if (url_parse(due->url, strlen(due->url), &url, NULL) < 0) {
        addrbook_dial_failed(m->book, due->entry, WEFT_EURL, "not a peer URL", now);
        return;
    }
    struct mesh_link *l = link_new(m, true);
    if (!l) {
        addrbook_dial_failed(m->book, due->entry, WEFT_ENOMEM, weft_strerror(WEFT_ENOMEM), now);
        return;
    }
    l->state = LINK_DIALING;
    l->priv->machine->dialled = url;
    l->priv->book_entry = due->entry;
    l->priv->connect_deadline = now.mono_ns + DIAL_TIMEOUT_NS;
    link_arm(m, l, l->priv->connect_deadline);
    m->counts.dials++;
    m->ops->dial(m->ctx, l, &url);
}

void book_dial(struct mesh *m, struct moment now)
{
    struct addrbook_dial due;
    while (addrbook_next_dial(m->book, now, &due))
        dial(m, &due, now);
}

/* ---- ADDRBOOK ---- */

static const char too_large[] = "the address book is larger than a frame may be here: raise "
                                "limits.max_frame of who asks";

static void tell_book(struct mesh *m, struct mesh_link *l, uint64_t nonce, struct moment now)
{
    size_t count;
    struct book_record *records = addrbook_records(m->book, now, &count);
    if (!records) {
        link_send_result(m, l, nonce, WEFT_ENOMEM, weft_strerror(WEFT_ENOMEM), now);
        return;
    }
    struct control c = {.type = MSG_ADDRBOOK, .book = {.records = records, .count = count}};
    int rc = link_takes(m, l, &c);
    if (rc == 0)
        link_send(m, l, &c, LANE_CONTROL, false, now);
    else
        link_send_result(m, l, nonce, rc, rc == WEFT_ELIMIT ? too_large : weft_strerror(rc), now);
    mem_free(records);
}

void book_receive(struct mesh *m, struct mesh_link *l, const struct control *c,
                  const struct header *h, struct moment now)
{
    if (h->want_result && c->book.count == 0) {
        tell_book(m, l, h->timestamp, now);
        return;
    }
    if (!l->priv->ask_token)
        return; /* nobody asked, or it came too late */
    uint64_t token = l->priv->ask_token;
    l->priv->ask_token = 0;
    m->ops->answer(m->ctx, token, 0, 0, c->book.records, c->book.count);
}
