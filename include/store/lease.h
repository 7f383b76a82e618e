#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "core/job.h"
#include "store/entry.h"
#include "store/queue.h"

/*
 * What the owner of an event in process may do with it. An event is owned by the consumer for whom it is pending; the
 * lease runs out when that consumer gives no sign of life. Every operation checks the ownership in the same script in
 * which it acts: after it is lost, nothing but "lost" comes back, and nothing is changed.
 *
 * An event that is to set something off also needs the turn of its session, so that two of one session are never in
 * process at once, anywhere: opening takes the turn, or lets the event wait, and each operation that ends the lease
 * hands the turn to the event that has waited longest, which is due at once.
 *
 * A mail is frozen before it is sent for the first time, by opening once more, so that every try sends the same bytes.
 * It is kept until the event is finished or buried.
 *
 * A lost connection leaves the outcome of an operation unknown. All of them may be repeated: what has been done is not
 * done again.
 */
enum lease_outcome {
    LEASE_DONE,
    LEASE_LOST,    /* the event is somebody else's, or finished */
    LEASE_WAITS,   /* open: another event of its session is in process; this one waits, and is not ours any more */
    LEASE_SETTLED, /* open: it had been finished before, and came again; it is acknowledged */
    LEASE_UNKNOWN, /* no answer: repeat it when Redis is back */
};

/* What earlier tries have left: LEASE_DONE of lease_open(). */
struct lease_ledger {
    unsigned failures;      /* tries that failed */
    unsigned takeovers;     /* owners in a row that fell silent */
    unsigned done;          /* bit N: effect N of the list that lease_open() was given is done */
    unsigned failed;        /* bit N: effect N has failed for good */
    unsigned skipped;       /* bit N: effect N had nothing to do */
    struct job_fault fault; /* why, when `failed` is not empty */
};

/* One operation; embedded by the caller, and left in place until its callback has run. One at a time. */
struct lease_call {
    struct redis_call call;
    void (*callback)(struct lease_call *call, enum lease_outcome outcome);
    struct lease_ledger ledger; /* open: filled in */
    bool handed_on;             /* another event of the session is due now */
    const char *const *effects; /* open: the names of the effects, */
    size_t effect_count;        /*       and how many */
    struct text mail;           /* open: is to be sent, and frozen for every try; empty: none is */
    struct text frozen;         /* open: the one to send: `mail`, or what an earlier try has frozen; lent until the
                                   callback returns */
};

/* Who holds the lease on what. Borrowed during each call. */
struct lease {
    struct queue *queue;
    const char *consumer;
    const struct entry *entry;
    bool needs_turn;         /* of its session */
    uint64_t claim_after_ms; /* of silence */
};

/* How an event ended, for the outcome stream. None of it is personal; NULL is written as "". */
struct lease_ending {
    const char *user;
    const char *status;  /* the session's */
    const char *outcome; /* "done", "superseded", "dead" */
    const char *effects; /* comma-separated: those that are done */
    const char *skipped; /* comma-separated: those that had nothing to do */
};

/* Each returns 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM: try again later. */
MUST_CHECK int lease_open(const struct lease *lease,
                          struct lease_call *call); /* also a sign of life; may be repeated */
MUST_CHECK int lease_record_done(const struct lease *lease, struct lease_call *call, const char *effect);
MUST_CHECK int lease_record_failed(const struct lease *lease, struct lease_call *call, const char *effect,
                                   const struct job_fault *fault);
MUST_CHECK int lease_record_skipped(const struct lease *lease, struct lease_call *call, const char *effect,
                                    const char *reason);
MUST_CHECK int lease_finish(const struct lease *lease, struct lease_call *call, const struct lease_ending *ending);
MUST_CHECK int lease_bury(const struct lease *lease, struct lease_call *call, const struct lease_ending *ending,
                          const struct job_fault *fault, unsigned attempts);
MUST_CHECK int lease_retry(const struct lease *lease, struct lease_call *call, uint64_t delay_ms,
                           const struct job_fault *fault);
/* Its effect `effect` is paused, and nothing else is left: it waits, which counts as no try. See store/control.h. */
MUST_CHECK int lease_hold(const struct lease *lease, struct lease_call *call, const char *effect);
MUST_CHECK int lease_release(const struct lease *lease,
                             struct lease_call *call); /* to be taken at once; counts as no try */

/*
 * A sign of life for `count` events, and for the turns that they have. To be given four times in `claim_after_ms`, also
 * without events: signs tell a Redis that was away from workers that are. `call->callback` gets the reply: an array of
 * the stream ids that are lost, or NULL when there was no answer.
 */
struct lease_holder {
    struct queue *queue;
    const char *consumer;
    uint64_t claim_after_ms; /* of silence */
};

MUST_CHECK int lease_renew(const struct lease_holder *holder, const struct entry *const *entries, size_t count,
                           struct redis_call *call);

/*
 * Hands back up to 100 events that are still pending for `consumer`, and forgets it when fewer were. The reply is how
 * many: 100 means to call again.
 */
#define LEASE_SURRENDER_BATCH 100
MUST_CHECK int lease_surrender(struct queue *queue, const char *consumer, struct redis_call *call);
