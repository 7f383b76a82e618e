#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/settings.h"
#include "store/queue.h"

/*
 * A command's conversation with Redis: connect, ask, await each answer, close. A command has nothing else to do
 * meanwhile, so asking looks synchronous:
 *
 *   bool answered = false;                      set by the call's callback
 *   if (errand_asked(errand, some_call(errand->queue, …), &answered)) { the callback has run }
 *
 * Connecting and each answer may take IDENTIHOOK_ENQUEUE_TIMEOUT. What fails is told on standard error.
 */
struct errand {
    uv_loop_t loop;
    uv_timer_t deadline;
    struct queue *queue;
    uint64_t timeout_ms;
    bool over; /* the deadline has passed */
};

/* Connects. `name` is the connection's. 0: to be closed; or COMMAND_FAILED: told, and there is nothing to close. */
MUST_CHECK int errand_open(struct errand *errand, const struct settings *settings, const char *name);

/* The two halves of it, which tell nothing: a loop to run on, 0 or a negative code; and a connection, false when there
 * is none: errand_trouble() says why. Either way to be closed. */
MUST_CHECK int errand_begin(struct errand *errand, uint64_t timeout_ms);
MUST_CHECK bool errand_connect(struct errand *errand, const struct settings *settings, const char *name);

/* What to do about it that Redis does not answer. */
const char *errand_trouble(const struct errand *errand);

/* Runs the loop until *answered, at most so long. Tells nothing. Returns *answered. */
bool errand_await(struct errand *errand, uint64_t timeout_ms, const bool *answered);

/* `status` is what the call returned. True when *answered; false was told. */
MUST_CHECK bool errand_asked(struct errand *errand, int status, const bool *answered);

/* Lets time pass. */
void errand_sleep(struct errand *errand, uint64_t milliseconds);

/* Tells what Redis answered instead of a result: its own words, or "" when it gave no answer. Returns COMMAND_FAILED.
 */
int errand_fault(const char *error);

void errand_close(struct errand *errand);
