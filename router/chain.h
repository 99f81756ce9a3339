/* An intrusive doubly linked list whose head is one pointer: an entry of the tree has two, and
 * there are as many entries as routes. The first one's prev is the last, the last one's next NULL.
 *
 *     head ─▶ a ⇄ b ⇄ c        a.prev = c */
#ifndef ROUTER_CHAIN_H
#define ROUTER_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

struct chain {
    struct chain *next, *prev;
};

/* Put `node` behind `at`, which is in the chain; NULL: at the front. */
static inline void chain_insert(struct chain **head, struct chain *at, struct chain *node)
{
    struct chain *first = *head, *next = at ? at->next : first;
    node->next = next;
    if (at)
        at->next = node;
    else
        *head = node;
    node->prev = at ? at : first ? first->prev : node;
    if (next)
        next->prev = node;
    else
        (*head)->prev = node;
}

static inline void chain_push(struct chain **head, struct chain *node)
{
    chain_insert(head, *head ? (*head)->prev : NULL, node);
}

static inline void chain_remove(struct chain **head, struct chain *node)
{
    if (*head == node)
        *head = node->next;
    else
        node->prev->next = node->next;
    if (node->next)
        node->next->prev = node->prev;
    else if (*head)
        (*head)->prev = node->prev;
}

#define chain_each(it, head) for (struct chain *it = (head); it; it = it->next)

#endif
