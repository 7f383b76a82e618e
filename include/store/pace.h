#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"
#include "store/queue.h"

/*
 * How fast somebody may go on, kept by all processes together: at the given rate, and a minute's worth at once after a
 * rest. Two limits are taken together or not at all.
 */
struct pace_limit {
    const char *kind;    /* "user", "address" … */
    struct text name;    /* whom it is for: hashed by the caller where it is personal; at most 64 bytes */
    uint64_t per_minute; /* at least 1 */
};

#define PACE_LIMITS 2

struct pace_call {
    struct redis_call call;
    /* `wait_ms`: 0: go on; more: not before; -1: Redis gave no answer. */
    void (*callback)(struct pace_call *call, int64_t wait_ms);
};

/* 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int pace_take(struct queue *queue, struct pace_call *call, const struct pace_limit limits[PACE_LIMITS]);
