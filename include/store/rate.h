#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/* The ceiling on reads of Stripe's API that all workers keep together, live and test mode apart. */
struct rate_call {
    struct redis_call call;
    /* `wait_ms`: the moment that is ours, from now; -1: Redis gave no answer. */
    void (*callback)(struct rate_call *call, int64_t wait_ms);
    int64_t now_ms; /* filled in: Redis's time, which the ids of its streams are made of, too */
};

/* Takes the next free moment. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int rate_take(struct queue *queue, struct rate_call *call, bool livemode, uint64_t per_minute);

/*
 * Stripe has refused a read for being too fast: nobody gets a moment for `pause_ms`, and for a minute all are half as
 * fast; half of that, and so on to a sixteenth, when it goes on. `call->callback` gets how many times slower that is,
 * as an integer, or NULL. Returns as rate_take() does.
 */
MUST_CHECK int rate_slow(struct queue *queue, struct redis_call *call, bool livemode, uint64_t pause_ms);
