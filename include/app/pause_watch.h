#pragma once

#include <stdbool.h>

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "store/control.h"

/*
 * Knows what operators have paused: asks Redis every second, so that nobody has to ask for each event. While Redis is
 * away what was known last holds.
 */
#define PAUSE_WATCH_INTERVAL_MS 1000

struct pause_watch;

struct pause_watch_options {
    struct queue *queue; /* this and the others outlive the watch */
    struct telemetry *telemetry;
    void (*on_change)(void *context); /* it is known now, for the first time, or something else is paused than before */
    void *context;
};

MUST_CHECK int pause_watch_open(uv_loop_t *loop, const struct pause_watch_options *options, struct pause_watch **watch);

/* `closed` runs, and the watch is gone, when nothing of it is left on the loop. on_change does not run any more. */
void pause_watch_close(struct pause_watch *watch, void (*closed)(void *context), void *context);

/* The queue's connection is ready: ask at once. */
void pause_watch_ask(struct pause_watch *watch);

/* Whether events may be taken: it is known that processing is not paused. */
bool pause_watch_permits(const struct pause_watch *watch);

/* Whether this effect is paused. */
bool pause_watch_holds(const struct pause_watch *watch, enum action action);
