#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"

/*
 * The last few sessions that Stripe has told of, for a moment: what came in for one event of a session may serve the
 * next one of it.
 *
 * Two clocks are in it. When a session was asked for and when an event came in is told by Redis, the one clock of the
 * fleet; how old an answer is, by the loop. Both in ms.
 */
#define RECALL_ANSWERS 16
#define RECALL_AGE_MS 10000

/* Which answer. */
struct recall_name {
    struct text account; /* may be empty */
    struct text session;
};

struct recall_answer {
    struct buffer name; /* "ACCOUNT SESSION"; empty: none */
    struct buffer body; /* personal data: overwritten when it goes */
    int64_t asked_ms;
    uint64_t came_ms;
};

/* {0} is an empty one. */
struct recall {
    struct recall_answer answers[RECALL_ANSWERS];
    size_t next;
};

struct recall_times {
    int64_t redis_ms; /* keep: when it was asked for; find: asked for after that */
    uint64_t now_ms;  /* the loop's time */
};

/* Keeps a copy of the answer, in the place of the oldest one. Without memory it keeps nothing. */
void recall_keep(struct recall *recall, const struct recall_name *name, struct recall_times times, struct text body);

/* The answer about that session that was asked for after that, and came at most RECALL_AGE_MS ago; borrowed until the
 * next call. Empty: there is none. */
struct text recall_find(struct recall *recall, const struct recall_name *name, struct recall_times times);

void recall_clear(struct recall *recall);
