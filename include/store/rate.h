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
};

/* Takes the next free moment. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int rate_take(struct queue *queue, struct rate_call *call, bool livemode, uint64_t per_minute);
