#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/*
 * What operators have paused: "processing" as a whole, or one effect. {NS}:control has a field for each, "AT_MS BY
 * REASON".
 *
 * An event whose paused effect is all that is left waits in the schedule, and in {NS}:held, from where resuming makes
 * it due at once. It waits CONTROL_HOLD_MS at most, then somebody looks whether the pause still stands.
 */
#define CONTROL_PROCESSING "processing"
#define CONTROL_PAUSES_MAXIMUM 8
#define CONTROL_HOLD_MS UINT64_C(600000)

struct control_pause {
    struct text what; /* "processing", "email" … */
    int64_t at_ms;
    struct text by;
    struct text reason;
};

struct control {
    size_t count;
    struct control_pause pauses[CONTROL_PAUSES_MAXIMUM];
};

struct control_call {
    struct redis_call call;
    /* `control` is lent until it returns; NULL: Redis gave no such answer, and `error` says what it said ("": nothing).
     */
    void (*callback)(struct control_call *call, const struct control *control, const char *error);
};

/* 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int control_read(struct queue *queue, struct control_call *call);

/* Whether `what` is among the pauses. */
bool control_has(const struct control *control, const char *what);

struct control_act {
    const char *what;
    const char *by;
    const char *reason;
};

#define CONTROL_BATCH 500

struct control_act_call {
    struct redis_call call;
    /* `changed`: it was not so before. `released`: events that are due at once now; as many as CONTROL_BATCH: resume
     * once more, there may be others. `error`: NULL; or what Redis says instead. */
    void (*callback)(struct control_act_call *call, bool changed, size_t released, const char *error);
};

/* Both are written down in {NS}:acts when they change something. Return as above. */
MUST_CHECK int control_pause(struct queue *queue, struct control_act_call *call, const struct control_act *act);
MUST_CHECK int control_resume(struct queue *queue, struct control_act_call *call, const struct control_act *act);
