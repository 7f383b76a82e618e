#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/holds.h"

/*
 * Something that is done every so often, a turn at a time, and whose turns take their time: asking Redis, above all.
 * Embedded in an object from malloc(), which is freed when it has been closed.
 */
struct chore {
    uv_timer_t timer;
    uint64_t every_ms;
    int (*begin)(struct chore *chore);
    void *object;
    bool under_way;
    struct holds holds; /* the timer, and the turn under way */
};

/*
 * The first turn is in every_ms. `begin` begins one: 0, and chore_done() is called once, later; or negative, and it is
 * tried again in every_ms.
 */
void chore_open(struct chore *chore, uv_loop_t *loop, uint64_t every_ms, int (*begin)(struct chore *chore),
                void *object);

/* Begins a turn at once, unless one is under way or the chore is being closed. */
void chore_begin(struct chore *chore);

/* The turn has ended; the next is in `wait_ms`. When the chore is being closed, there is none, and the object may be
 * gone. */
void chore_done(struct chore *chore, uint64_t wait_ms);

bool chore_is_closing(const struct chore *chore);

/* No turn begins any more. `closed` runs, and the object is gone, when the one under way has ended and nothing is left
 * on the loop. */
void chore_close(struct chore *chore, void (*closed)(void *context), void *context);
