#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/settings.h"
#include "base/text.h"
#include "net/fetch.h"
#include "stripe/api.h"

/*
 * One call of Stripe's API while somebody waits for its answer: what may pass is tried again at once, as Stripe's own
 * libraries do that (twice, half a second and more apart, with the same idempotency key), until a deadline.
 */
struct stripe_answer {
    const struct api_verdict *verdict;
    int status; /* HTTP's; 0: there was no answer */
    struct text body;
};

struct stripe_request {
    const char *path;            /* "/v1/…" */
    struct text body;            /* form-encoded; empty: GET */
    const char *idempotency_key; /* NULL: none */
    uint64_t deadline_ms;        /* of the loop's clock */
};

/* Embedded by the caller, and left in place until it is closed. One call at a time. */
struct stripe_call {
    const struct settings *settings; /* this and the fetcher outlive it */
    struct fetcher *fetcher;
    uv_timer_t timer;
    struct fetch *fetch;
    struct buffer url;
    struct buffer body;
    char key[300];
    uint64_t deadline_ms;
    unsigned tries;
    /* `answer` is lent until it returns. */
    void (*callback)(struct stripe_call *call, const struct stripe_answer *answer);
    void (*closed)(struct stripe_call *call);
};

void stripe_call_init(struct stripe_call *call, uv_loop_t *loop, const struct settings *settings,
                      struct fetcher *fetcher);

/* The callback will run once, later, unless the call is cancelled. */
void stripe_call_start(struct stripe_call *call, const struct stripe_request *request,
                       void (*callback)(struct stripe_call *call, const struct stripe_answer *answer));

/* The callback will not run any more. Without a call under way nothing happens. */
void stripe_call_cancel(struct stripe_call *call);

/* Cancels it; `closed` runs, later, when nothing of it is left on the loop. */
void stripe_call_close(struct stripe_call *call, void (*closed)(struct stripe_call *call));
