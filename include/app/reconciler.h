#pragma once

#include <stdbool.h>

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "store/queue.h"

/*
 * Sees to it that Stripe's list of events is gone through (reconciliation.h): soon after the start, when Redis was away
 * or has lost its data, and every IDENTIHOOK_RECONCILE_EVERY; by one process of the fleet at a time.
 *
 * Redis remembers how far the last complete run came (store/watermark.h), and it is looked there twice a minute whether
 * one is due. What Redis does not know decides how far a run goes back:
 *
 *   it knows how far the last run came    from there
 *   this process knew, and Redis forgot   IDENTIHOOK_RECONCILE_SINCE, or to the last run if that is longer ago: Redis
 *                                         has lost its data, and what was finished since then is done once more
 *   nobody ever knew                      IDENTIHOOK_RECONCILE_SINCE, but only events that Stripe could not deliver:
 *                                         who was verified before identihook was there is none of its business
 *
 * Never further than the 30 days for which Stripe keeps events, nor than IDENTIHOOK_DEDUPE_WINDOW, beyond which it
 * could not be told any more what was done already.
 *
 * The lists of the accounts in IDENTIHOOK_RECONCILE_ACCOUNTS come after our own; a run is complete with the last one.
 * One that Stripe refuses, because the account is not connected any more, is logged and passed over.
 *
 * Failure modes: what Stripe refuses or does not answer is logged, and tried again with a growing distance.
 */
struct reconciler;

struct reconciler_options {
    const struct settings *settings; /* this and the others outlive the reconciler */
    struct queue *queue;
    struct telemetry *telemetry;
};

MUST_CHECK int reconciler_open(uv_loop_t *loop, const struct reconciler_options *options,
                               struct reconciler **reconciler);

/* The queue's connection is ready, or is not any more. */
void reconciler_redis(struct reconciler *reconciler, bool ready);

/* Ends what is under way; `closed` runs, and the reconciler is gone, when nothing of it is left on the loop. */
void reconciler_close(struct reconciler *reconciler, void (*closed)(void *context), void *context);
