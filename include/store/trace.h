#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/* What Redis knows of one event besides its entries in the streams, for operators: its mark, its ledger, its place. */
#define TRACE_LEDGER_MAXIMUM 96

struct trace_field {
    const char *name;
    const char *value;
};

struct trace {
    int64_t now_ms;   /* Redis's clock */
    int64_t mark_ms;  /* when it was received; negative: when it was finished or buried; 0: there is no mark */
    int64_t due_ms;   /* when it is tried again; -1: it is not scheduled */
    int64_t failures; /* failed tries since it was queued */
    bool pending;     /* in process: */
    const char *consumer;
    int64_t idle_ms; /* since its owner's last sign of life */
    bool delivered;  /* the group has been given it: when not, it is unread */
    const char *turn;
    int64_t ahead; /* events that wait for the session's turn before it; -1: it does not wait */
    bool held;     /* it waits for a paused effect */
    size_t ledger_count;
    struct trace_field ledger[TRACE_LEDGER_MAXIMUM];
};

struct trace_call {
    struct redis_call call;
    /* `trace` is lent until it returns; NULL: Redis gave no such answer, and `error` says what it said ("": nothing).
     */
    void (*callback)(struct trace_call *call, const struct trace *trace, const char *error);
};

/* Which event: its id, and where they are known its session and the id of its entry in the stream, else empty. */
struct trace_query {
    struct text event;
    struct text session;
    struct text id;
};

/* Reads it in one script. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int trace_start(struct queue *queue, struct trace_call *call, const struct trace_query *query);
