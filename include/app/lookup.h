#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/list.h"
#include "base/settings.h"
#include "core/job.h"
#include "net/fetch.h"
#include "store/entry.h"
#include "store/queue.h"
#include "store/rate.h"
#include "stripe/session.h"

/*
 * Asking Stripe for the session of an event, as it is now.
 *
 * Happy path: the breaker lets it through, the fleet's rate has a moment for it (store/rate.h), it is fetched, and
 * read.
 *
 * Failure modes: what may pass and what stays is told apart by Stripe's rules (stripe/api.h). Beyond the one event:
 *
 * After faults in a row the breaker of this loop opens (core/breaker.h): lookups wait, without a fetch and without
 * costing their events a try, until one of them, every now and then, is answered. What counts is no answer, 5xx, and a
 * key or a request that Stripe refuses whoever asks: then a few events tell the operator what to do, and not thousands.
 *
 * A 429 for the rate does not count. It makes the whole fleet pause, and slower for a minute.
 *
 * One answer may serve two events of a session, one after the other, so that no read is made for nothing: one that was
 * asked for after the event had come in (by Redis's clock, see core/recall.h), for an event's first try, and only where
 * by it the event is current. A try that comes later always asks anew: the session may have moved on since.
 */
struct lookups;

struct lookups_options {
    const struct settings *settings; /* this and the others outlive the lookups */
    struct queue *queue;
    struct fetcher *fetcher;
    struct telemetry *telemetry;
};

MUST_CHECK int lookups_open(uv_loop_t *loop, const struct lookups_options *options, struct lookups **lookups);

/* No lookup is under way any more. `closed` runs when nothing of it is left on the loop. */
void lookups_close(struct lookups *lookups, void (*closed)(void *context), void *context);

enum lookup_outcome {
    LOOKUP_FOUND,
    LOOKUP_TRANSIENT,
    LOOKUP_PERMANENT,
    LOOKUP_UNASKED, /* Redis gave no answer: start it again when it is back */
};

struct lookup_result {
    enum lookup_outcome outcome;
    struct session *session; /* FOUND: the receiver's now */
    struct job_fault fault;  /* TRANSIENT, PERMANENT */
    uint64_t retry_after_ms; /* TRANSIENT: not before */
};

enum lookup_state {
    LOOKUP_IDLE,
    LOOKUP_SERVED,   /* with an answer that is there: the timer, at once */
    LOOKUP_HELD,     /* by the breaker: the timer, or the end of a probe, wakes it */
    LOOKUP_ASKING,   /* for a moment: Redis's answer wakes it */
    LOOKUP_PACED,    /* until that moment: the timer */
    LOOKUP_FETCHING, /* Stripe's answer, or its timeout */
};

/* One of them; embedded by the caller, and left in place until it has ended or was cancelled. {0} is an idle one. */
struct lookup {
    const struct entry *entry; /* these are the caller's; they stay as they are while it runs */
    bool first_try;
    void (*ended)(struct lookup *lookup, const struct lookup_result *result);
    struct lookups *owner; /* the rest is the lookup's own */
    enum lookup_state state;
    struct list link; /* HELD, PACED */
    uint64_t wake_at_ms;
    struct rate_call rate_call;
    struct fetch *fetch;
    uint64_t started_ns;
    bool probes; /* the breaker is open, and let this one through */
};

/* 0: `ended` will run once, later; or, when Redis takes no question now, -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int lookup_start(struct lookups *lookups, struct lookup *lookup);

/* `ended` will not run any more; false when Redis has still to answer, and it will. An idle one is cancelled. */
MUST_CHECK bool lookup_cancel(struct lookup *lookup);
