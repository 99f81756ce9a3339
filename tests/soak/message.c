/* Stream, number, size, and then words that follow from them: a byte of another message, or of this
 * one at another place, is found. */
#include <string.h>

#include "soak.h"

#define WORD sizeof(uint64_t)
#define HEAD_WORDS 3

static uint64_t word_at(uint64_t stream, uint64_t seq, size_t size, size_t i)
{
    if (i < HEAD_WORDS)
        return (uint64_t[]){stream, seq, size}[i];
    return (stream * 0x9e3779b97f4a7c15u) ^ (seq * 0xbf58476d1ce4e5b9u) ^ (i * 0x94d049bb133111ebu);
}

void message_write(uint64_t stream, uint64_t seq, void *data, size_t size)
{
    uint8_t *at = data;
    for (size_t i = 0; i * WORD < size; i++) {
        uint64_t word = word_at(stream, seq, size, i);
        size_t left = size - i * WORD;
        memcpy(at + i * WORD, &word, left < WORD ? left : WORD);
    }
}

bool message_read(const void *data, size_t size, uint64_t *ret_stream, uint64_t *ret_seq)
{
    const uint8_t *at = data;
    uint64_t stream, seq;
    if (size < MESSAGE_MIN)
        return false;
    memcpy(&stream, at, WORD);
    memcpy(&seq, at + WORD, WORD);
    for (size_t i = HEAD_WORDS - 1; i * WORD < size; i++) {
        uint64_t word = word_at(stream, seq, size, i);
        size_t left = size - i * WORD;
        if (memcmp(at + i * WORD, &word, left < WORD ? left : WORD) != 0)
            return false;
    }
    *ret_stream = stream;
    *ret_seq = seq;
    return true;
}
