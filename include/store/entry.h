#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/list.h"
#include "base/text.h"
#include "stripe/event.h"

struct redisReply;

/* An event taken from the stream, without its payload: the worker goes by what Stripe says now. */
struct entry {
    struct list link; /* for whoever holds it */
    struct text id;   /* the stream's id of it: "1793268500123-0" */
    struct text event;
    struct text type;
    struct text session;
    struct text account; /* empty: our own account's event */
    bool livemode;
    int64_t created; /* seconds since 1970 */
    int64_t received_ms;
    enum event_kind kind;
    char bytes[]; /* what the texts point into; each is followed by a NUL */
};

#define ENTRY_GONE 1 /* the stream has no such entry any more */

/* Reads { id, { field, value … } } into a fresh entry, to be freed with free(). 0, ENTRY_GONE, or -ENOMEM. */
MUST_CHECK int entry_read(const struct redisReply *reply, struct entry **entry);
