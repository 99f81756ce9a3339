/* What the fuzz targets share. A target is one file that defines LLVMFuzzerTestOneInput: libFuzzer
 * or AFL++ calls it with inputs they make up, run.c with those that are kept. A violated invariant
 * ends the process by CHECK. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- Reading an input: what is missing at its end is 0 ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){size ? data : (const uint8_t *)"", size};
}

static inline uint8_t take_u8(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint16_t take_u16(struct input *in)
{
    uint16_t high = take_u8(in);
    return (uint16_t)(high << 8 | take_u8(in));
}

/* Up to `size` bytes; *ret_size tells how many there are. */
static inline const uint8_t *take_bytes(struct input *in, size_t size, size_t *ret_size)
{
    const uint8_t *at = in->at;
    *ret_size = size < in->left ? size : in->left;
    in->at += *ret_size;
    in->left -= *ret_size;
    return at;
}

/* ---- The heap of the code under test (heap.c) ---- */

/* Put weft's allocator under watch, with nothing counted so far. */
void heap_watch(void);
size_t heap_live(void); /* bytes allocated now */
size_t heap_peak(void); /* most at once since the last heap_watch or heap_mark */
void heap_mark(void);
/* From the n-th allocation on (1: the next), `count` of them fail. 0: none. */
void heap_fail(uint32_t n, uint32_t count);
bool heap_failed(void); /* has any? */
/* What is allocated now is the target's own: none of it fails. */
void heap_calm(bool on);

/* A copy in memory of exactly that size, so that a sanitizer sees each byte read beyond it. */
uint8_t *exact_copy(const void *data, size_t size);

#endif
