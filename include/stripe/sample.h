#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "stripe/event.h"

/*
 * Sample events, as Stripe would send them, for trying things out without Stripe.
 *
 * A sample's session is named after its kind, vs_1SampleVerified…, so that nobody takes it for a real one and a
 * stand-in for Stripe's API can tell in which status to serve it.
 */
struct sample_options {
    enum event_kind kind;   /* not EVENT_OTHER */
    const char *session;    /* NULL: a fresh one */
    const char *nonce;      /* 16 or more letters and digits that no other sample has: they make the fresh ids */
    const char *error_code; /* for EVENT_REQUIRES_INPUT; NULL: document_expired */
    bool livemode;
    int64_t now; /* seconds since 1970 */
};

/* Appends the event's JSON, indented as Stripe does; *event_id gets its id. 0, -EINVAL (bad session id) or -ENOMEM. */
MUST_CHECK int sample_event(const struct sample_options *options, struct buffer *body, char event_id[64]);
