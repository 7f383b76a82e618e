#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "store/queue.h"
#include "store/record.h"

/*
 * Looks through one of the streams for entries whose fields have given values, a page at a time. Redis compares, so
 * that only what fits comes over the network, and no payload unless it is asked for.
 */
enum search_stream { SEARCH_EVENTS, SEARCH_OUTCOMES, SEARCH_DEAD, SEARCH_ACTS, SEARCH_STREAMS };

#define SEARCH_MATCHES_MAXIMUM 4
#define SEARCH_LOOK_MAXIMUM 1000 /* entries of one page: Redis does nothing else meanwhile, for 25 ms or so */

struct search_match {
    const char *field;
    const char *value;
};

struct search_query {
    enum search_stream stream;
    bool newest_first;
    bool with_payload;
    const char *from; /* "-", an id, or "(" and an id: behind that; with newest_first from "+" downwards */
    const char *to;
    size_t look; /* at most so many entries, up to SEARCH_LOOK_MAXIMUM, */
    size_t give; /* and at most so many that fit */
    size_t match_count;
    struct search_match matches[SEARCH_MATCHES_MAXIMUM];
};

struct search_page {
    const char *error;    /* NULL; or Redis's words, and the rest is empty; "" when the connection was lost */
    struct list *records; /* of struct record: the receiver's, who empties the list */
    struct text next;     /* `from` of the next page: "(" and an id; empty when there is nothing left to look at */
    size_t looked;        /* how many entries were looked at */
};

struct search_call {
    struct redis_call call;
    /* `page` is lent until it returns. */
    void (*callback)(struct search_call *call, const struct search_page *page);
};

/* Reads one page. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int search_start(struct queue *queue, struct search_call *call, const struct search_query *query);
