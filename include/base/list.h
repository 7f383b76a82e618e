#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"

/*
 * An intrusive doubly linked list. The head is a `struct list`; each member embeds one. A member is on one list at
 * most. An unlinked member's pointers are NULL, so {0} is an unlinked member.
 */
struct list {
    struct list *next;
    struct list *previous;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->previous = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *member)
{
    return member->next != NULL;
}

static inline void list_append(struct list *head, struct list *member)
{
    member->previous = head->previous;
    member->next = head;
    head->previous->next = member;
    head->previous = member;
}

static inline void list_prepend(struct list *head, struct list *member)
{
    list_append(head->next, member); /* the head, or whichever is first: before that one */
}

/* Unlinking an unlinked member does nothing. */
static inline void list_remove(struct list *member)
{
    if (!member->next) {
        return;
    }
    member->previous->next = member->next;
    member->next->previous = member->previous;
    member->next = NULL;
    member->previous = NULL;
}

static inline struct list *list_first(const struct list *head)
{
    return head->next == head ? NULL : head->next;
}

static inline struct list *list_last(const struct list *head)
{
    return head->previous == head ? NULL : head->previous;
}

/* Takes the first member off the list; NULL when it is empty. */
static inline struct list *list_pop(struct list *head)
{
    struct list *first = head->next;
    if (first == head) {
        return NULL;
    }
    head->next = first->next;
    first->next->previous = head;
    first->next = NULL;
    first->previous = NULL;
    return first;
}

/* Walks the list; `member` may be removed in the body. */
#define LIST_EACH(head, member, following)                                                                             \
    for (struct list *member = (head)->next, *following = member->next; member != (head);                              \
         member = following, following = member->next)

#define LIST_OBJECT(member, type, field) CONTAINER_OF(member, type, field)
