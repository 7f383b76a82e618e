#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"
#include "net/postgres.h"
#include "stripe/session.h"

/*
 * A session's row in PostgreSQL's table identity_verifications, whose columns are described there (COMMENT ON, see
 * src/store/sql/migrate.sql).
 *
 * The row and its ledger, identihook_effects, are written in one transaction, so each event is written once, whatever
 * crashes. An older state never takes the place of a newer one: verified is final; else the event that Stripe made
 * later is the newer, and within its second the state that was asked for later. A redacted row is never written again.
 */

/* What there is to write; lent until verification_record() returns. */
struct verification {
    struct text event;
    struct text type;
    struct text account; /* empty: our own */
    int64_t created;     /* the event's, seconds */
    int64_t checked_ms;  /* when the session was found to be like this, wall clock */
    bool livemode;
    const struct session *session;
};

enum verification_outcome {
    VERIFICATION_WRITTEN,
    VERIFICATION_KEPT,     /* the row there is as new, or newer, or redacted; or this event was written before */
    VERIFICATION_REFUSED,  /* for good: PostgreSQL will not take it */
    VERIFICATION_DEFERRED, /* may pass; or the operator can mend it */
};

struct verification_result {
    enum verification_outcome outcome;
    const char *reason; /* REFUSED, DEFERRED: a word for counting, "postgres_…" */
    const char *error;  /* and a sentence with the remedy */
    uint64_t retry_after_ms;
    int64_t ledger_rows; /* erase, find: how many ledger rows were there, */
    int64_t rows;        /*              and whether there was a row that held something (1 or 0) */
};

#define VERIFICATION_VALUES 14

/* One operation; embedded by the caller, and left in place until its callback has run or it was abandoned. */
struct verification_call {
    struct postgres_call call;
    void (*callback)(struct verification_call *call, const struct verification_result *result); /* `result` is lent */
    const char *values[VERIFICATION_VALUES];
    struct buffer bytes; /* what they point into; personal */
};

/* Writes a session's state. `keep_ms`: how long the ledger remembers it. 0: the callback will run once, later; or
 * -ENOBUFS (too many wait) or -ENOMEM. */
MUST_CHECK int verification_record(struct postgres *postgres, struct verification_call *call,
                                   const struct verification *verification, uint64_t keep_ms);

/* Erases all that is held about a session but for the fact that it was erased, and tells who listens. As above. */
MUST_CHECK int verification_erase(struct postgres *postgres, struct verification_call *call, struct text session);

/* Only counts what verification_erase() would erase. */
MUST_CHECK int verification_find(struct postgres *postgres, struct verification_call *call, struct text session);

/* The callback will not run. */
void verification_abandon(struct postgres *postgres, struct verification_call *call);
