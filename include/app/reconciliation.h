#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "core/job.h"
#include "net/fetch.h"
#include "store/queue.h"
#include "stripe/event.h"

/*
 * Goes once through Stripe's list of events and queues those that were never received, through the same door as the
 * listener: of the kinds in IDENTIHOOK_EVENTS, of the modes in IDENTIHOOK_LIVEMODE, and only where there is no mark
 * against duplicates.
 *
 * Happy path: a page (newest first, as Stripe lists them), each of its events put in, oldest first; the next page; the
 * end. Each read of Stripe takes its moment from the fleet's common rate.
 *
 * Failure modes: a read that fails and may pass is tried again three times, soon; what fails beyond that, and a Redis
 * that is away, end the run. It may be started again at any time: what was put in is a duplicate then.
 */
struct reconciliation;

enum reconciliation_end {
    RECONCILIATION_COMPLETE,
    RECONCILIATION_STRIPE_TRANSIENT, /* fault */
    RECONCILIATION_STRIPE_PERMANENT, /* fault */
    RECONCILIATION_REDIS,
};

struct reconciliation_report {
    enum reconciliation_end end;
    struct job_fault fault;
    uint64_t retry_after_ms; /* STRIPE_TRANSIENT: Stripe asked for that long */
    uint64_t listed[LISTED]; /* how many events were found to be what */
    int64_t from;            /* seconds since 1970: what was asked for */
    int64_t through;         /* COMPLETE: what is older has been looked at */
};

struct reconciliation_options {
    const struct settings *settings; /* this and the others outlive the run */
    struct queue *queue;
    struct fetcher *fetcher;
    struct text account; /* acct_…: the list of a connected account; empty: our own */
    int64_t from;        /* seconds since 1970; Stripe knows events of the last 30 days */
    bool undelivered;    /* look only at events that Stripe has not delivered to all of its endpoints */
    bool dry_run;        /* queue nothing */
    /* Each may be NULL but the last. `event` is lent. */
    void (*on_event)(void *context, const struct event *event, enum telemetry_listed found);
    void (*on_page)(void *context);                                              /* before each read: still under way */
    void (*on_ended)(void *context, const struct reconciliation_report *report); /* once, never inside of start */
    void *context;
};

#define RECONCILIATION_DAYS 30 /* that long Stripe keeps events */

/* 0: it is under way; -ENOMEM. */
MUST_CHECK int reconciliation_start(uv_loop_t *loop, const struct reconciliation_options *options,
                                    struct reconciliation **reconciliation);

/* Ends it where it has not ended, without on_ended, and frees it; `closed` runs when nothing of it is left. May be
 * called from on_page and on_ended. */
void reconciliation_close(struct reconciliation *reconciliation, void (*closed)(void *context), void *context);
