#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * A page of GET /v1/events (docs.stripe.com/api/events/list), newest event first. Each event is kept as the bytes that
 * Stripe sent, so that what is queued from here is no different from what is posted; event_parse() reads it.
 */
#define EVENT_LIST_MAXIMUM 100 /* Stripe's own limit of a page */

struct event_list {
    struct text items[EVENT_LIST_MAXIMUM]; /* each one JSON value; they borrow from the body */
    size_t count;
    bool has_more; /* there are older ones */
};

#define EVENT_LIST_NOT_ONE 1

/* Reads a page. The whole body must be valid JSON (see json_scan.h). 0, or EVENT_LIST_NOT_ONE. */
MUST_CHECK int event_list_parse(struct text body, struct event_list *list);
