/* ADDRBOOK, and one AddrbookEntry by itself as the address-book file holds it (docs/protocol.md
 * section 6). */
#include <weft/weft.h>

#include "proto/codec_parts.h"

void build_record(const struct book_record *record, Weft__AddrbookEntry *entry)
{
    weft__addrbook_entry__init(entry);
    entry->peer = pb_text(record->peer);
    entry->max_attempts = record->max_attempts;
    entry->default_backoff = record->default_backoff_ns;
    entry->max_backoff = record->max_backoff_ns;
    entry->backoff_multiplier = record->multiplier;
    entry->attempts = record->attempts;
    entry->failed_attempts = record->failed_attempts;
    entry->last_success = record->last_success;
    entry->backoff = record->backoff_ns;
    entry->persistent = record->persistent;
    entry->node_id = pb_bytes(record->node_id, 16);
    entry->source = pb_text(record->source);
    entry->origin = (Weft__Origin)record->origin;
    entry->last_error = pb_text(record->last_error);
    entry->banned_until = record->banned_until;
    entry->added = record->added;
    entry->linked = record->linked;
    entry->dialing = record->dialing;
    entry->next_dial = record->next_dial_ns;
    entry->in_config = record->in_config;
}

int read_record(const Weft__AddrbookEntry *entry, struct book_record *record)
{
    *record = (struct book_record){
        .peer = entry->peer,
        .max_attempts = entry->max_attempts,
        .default_backoff_ns = entry->default_backoff,
        .max_backoff_ns = entry->max_backoff,
        .multiplier = entry->backoff_multiplier,
        .attempts = entry->attempts,
        .failed_attempts = entry->failed_attempts,
        .last_success = entry->last_success,
        .backoff_ns = entry->backoff,
        .persistent = entry->persistent,
        .source = entry->source,
        .origin = (uint32_t)entry->origin,
        .last_error = entry->last_error,
        .banned_until = entry->banned_until,
        .added = entry->added,
        .linked = entry->linked,
        .dialing = entry->dialing,
        .next_dial_ns = entry->next_dial,
        .in_config = entry->in_config,
    };
    return read_node_id(&entry->node_id, &record->node_id) ? 0 : WEFT_EMALFORMED;
}

ProtobufCMessage *build_book(struct arena *arena, const struct control *control)
{
    size_t count = control->book.count;
    Weft__Addrbook *m = arena_alloc(arena, sizeof(*m));
    Weft__AddrbookEntry **list = arena_array(arena, count, sizeof(*list));
    Weft__AddrbookEntry *entries = arena_array(arena, count, sizeof(*entries));
    if (!m || !list || !entries)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        build_record(&control->book.records[i], &entries[i]);
        list[i] = &entries[i];
    }
    weft__addrbook__init(m);
    m->n_entries = count;
    m->entries = list;
    return &m->base;
}

int read_book(struct arena *arena, const ProtobufCMessage *message, struct control *control)
{
    const Weft__Addrbook *m = (const Weft__Addrbook *)message;
    struct book_record *records = arena_array(arena, m->n_entries, sizeof(*records));
    if (!records)
        return arena->error;
    for (size_t i = 0; i < m->n_entries; i++) {
        int rc = read_record(m->entries[i], &records[i]);
        if (rc < 0)
            return rc;
    }
    control->book.records = records;
    control->book.count = m->n_entries;
    return 0;
}
