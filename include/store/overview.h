#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/* What happened lately, for whoever looks at the console. Nothing of it is personal. */
#define OVERVIEW_OUTCOMES_MAXIMUM 20
#define OVERVIEW_REASONS_MAXIMUM 20
#define OVERVIEW_WINDOW_MS 60000
#define OVERVIEW_COUNTED_MAXIMUM 2000 /* outcomes of the window */
#define OVERVIEW_DEAD_MAXIMUM 500     /* the newest dead letters, whose reasons are counted */

enum overview_ending { OVERVIEW_DONE, OVERVIEW_SUPERSEDED, OVERVIEW_DEAD, OVERVIEW_ENDINGS };

struct overview_outcome {
    struct text event;
    struct text type;
    struct text session;
    struct text outcome;
    struct text effects;
    int64_t received_ms; /* -1: not known */
    int64_t at_ms;
};

struct overview_reason {
    struct text reason;
    int64_t count;
};

struct overview {
    size_t outcome_count; /* the newest first */
    struct overview_outcome outcomes[OVERVIEW_OUTCOMES_MAXIMUM];
    int64_t lately[OVERVIEW_ENDINGS]; /* within OVERVIEW_WINDOW_MS */
    bool cut;                         /* and there were more than OVERVIEW_COUNTED_MAXIMUM */
    int64_t dead_looked;
    size_t reason_count; /* the most frequent first */
    struct overview_reason reasons[OVERVIEW_REASONS_MAXIMUM];
};

struct overview_call {
    struct redis_call call;
    /* `overview` and its texts are lent until it returns; NULL: Redis gave no such answer. */
    void (*callback)(struct overview_call *call, const struct overview *overview);
};

/* Reads it in one script. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int overview_read(struct queue *queue, struct overview_call *call);
