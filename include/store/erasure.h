#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/list.h"
#include "store/queue.h"
#include "store/search.h"

/*
 * Erases all that Redis holds about a session: the entries of its events, for every group, in whatever state they are;
 * its dead letters, outcomes and operators' acts; the ledgers and frozen mails of its events; that it was given to the
 * user of whom its outcomes tell. What stays is nothing
 * personal: the marks of its events (so that a resend does not bring them back), its turn, and the acts of erasing.
 *
 * There is no index to find them by, which would cost memory and time for every event: the streams are gone through
 * from their beginning in steps of some milliseconds, again until nothing is found. Each entry is erased in one script;
 * what is broken off may be started again.
 *
 * Meanwhile nobody else may carry out an event of the session: either the caller is its event and has the turn, or the
 * turn is taken here.
 */
struct erasure_options {
    struct text session; /* this and the others are lent until the callback */
    struct text spared;  /* the id of the event on whose behalf it is done; empty: none */
    const char *owner;   /* NULL: that event has the turn. Else who is to take it, by a name that nobody else has */
    uint64_t claim_after_ms;
    bool dry_run; /* only count, and take no turn */
};

enum erasure_outcome {
    ERASURE_DONE,
    ERASURE_BUSY,   /* an event of the session is in process: begin again a little later */
    ERASURE_BROKEN, /* Redis gave no answer, or it was stopped: begin again; `error` says more */
};

/* One erasure; embedded by the caller, and left in place until its callback has run. */
struct erasure {
    void (*callback)(struct erasure *erasure, enum erasure_outcome outcome);
    uint64_t erased[SEARCH_STREAMS]; /* DONE: how many entries of each stream */
    const char *error;               /* BROKEN: Redis's words or "" */

    /* The rest is its own. */
    struct queue *queue;
    struct erasure_options options;
    struct search_call search;
    struct redis_call call;
    enum search_stream stream;
    char next[48]; /* where to look further; "": this stream has ended */
    struct list records;
    bool found; /* something in this pass */
    unsigned passes;
    bool stopped;
    char words[200];
};

/* 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int erasure_start(struct queue *queue, struct erasure *erasure, const struct erasure_options *options);

/* It ends, BROKEN, with the next answer of Redis. */
void erasure_stop(struct erasure *erasure);
