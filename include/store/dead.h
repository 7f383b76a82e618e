#pragma once

#include "base/attributes.h"
#include "store/queue.h"

/*
 * What an operator does to a dead letter. Each act is one script: at every instant the event is in exactly one place,
 * and two operators who act on one letter at once act once. Each is written down in {NS}:acts, with who and why.
 */
enum dead_act {
    DEAD_REPLAY,  /* back into the stream, unread, with its ledger; what failed for good may be tried again */
    DEAD_DISCARD, /* away; its mark stays, so a resend is a duplicate */
};

struct dead_act_options {
    enum dead_act act;
    struct text letter; /* its id among the dead letters */
    struct text event;
    const char *by;     /* who */
    const char *reason; /* why; "" when nobody said */
};

struct dead_call {
    struct redis_call call;
    /* `entry`: its id in the stream (a replay) or its old one; empty when it was not among the dead letters any more.
     * Lent until it returns. `error`: NULL; or what Redis says instead, "": nothing, and it may have happened or not.
     */
    void (*callback)(struct dead_call *call, struct text entry, const char *error);
};

/* 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int dead_act_start(struct queue *queue, struct dead_call *call, const struct dead_act_options *options);
