/* The page's files within the program, made by embed.py. */
#ifndef WEFTD_PAGE_H
#define WEFTD_PAGE_H

#include <stddef.h>

struct page_file {
    const char *path; /* "/page.css" */
    const char *type; /* Content-Type */
    const char *data; /* `size` bytes */
    size_t size;
};

extern const struct page_file page_files[];
extern const size_t page_file_count;

#endif
