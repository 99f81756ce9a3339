/* Time that passes when the test says so. The program's clock_gettime stands in for libc's, for
 * weft and libuv as well: what the clocks show is real time and what was skipped. */
#ifndef TESTS_OOM_CLOCK_H
#define TESTS_OOM_CLOCK_H

#include <stdint.h>

void clock_skip(uint64_t ns);
uint64_t clock_skipped(void);

#endif
