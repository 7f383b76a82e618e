#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/*
 * How far Stripe's list of events has been gone through, for the whole fleet, and which process is at it. It is kept
 * beside the events themselves, so that it is lost, or falls back to an old backup, exactly when they do.
 */
enum watermark_outcome {
    WATERMARK_OURS,    /* begin: it is for us to do; keep: done */
    WATERMARK_NOT_NOW, /* begin: another is at it, or none is due; keep: it is not ours any more */
    WATERMARK_UNKNOWN, /* Redis gave no answer */
};

/* One operation; embedded by the caller, and left in place until its callback has run. One at a time. */
struct watermark_call {
    struct redis_call call;
    void (*callback)(struct watermark_call *call, enum watermark_outcome outcome);
    int64_t through;  /* begin, but UNKNOWN: seconds since 1970; -1: no complete run is known */
    uint64_t wait_ms; /* begin, NOT_NOW: ask again then */
};

/*
 * Begins a run: it is ours for `lease_ms` unless another process (`holder` tells them apart) is at it, or the last
 * complete one ended less than `rest_ms` ago. Each returns 0: the callback will run once, later; or -ENOTCONN,
 * -ENOBUFS, -ENOMEM.
 */
MUST_CHECK int watermark_begin(struct queue *queue, struct watermark_call *call, const char *holder, uint64_t lease_ms,
                               uint64_t rest_ms);

/* It goes on: ours for `lease_ms` from now. */
MUST_CHECK int watermark_keep(struct queue *queue, struct watermark_call *call, const char *holder, uint64_t lease_ms);

/* It is complete: everything before `through` (seconds since 1970) has been looked at. */
MUST_CHECK int watermark_end(struct queue *queue, struct watermark_call *call, const char *holder, int64_t through);
