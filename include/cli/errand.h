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

/* `status` is what the call returned. True when *answered; false was told. */
MUST_CHECK bool errand_asked(struct errand *errand, int status, const bool *answered);

/* Lets time pass. */
void errand_sleep(struct errand *errand, uint64_t milliseconds);

/* Tells what Redis answered instead of a result: its own words, or "" when it gave no answer. Returns COMMAND_FAILED.
 */
int errand_fault(const char *error);

void errand_close(struct errand *errand);
