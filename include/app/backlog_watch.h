#pragma once

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "store/queue.h"

/*
 * Keeps the figures of what waits in Redis current, for /metrics: one loop of each process, in every role, asks every
 * BACKLOG_WATCH_INTERVAL_MS. So ingest alone can tell that workers are needed, when there is none. While Redis is away
 * the figures are those that were known last.
 */
#define BACKLOG_WATCH_INTERVAL_MS 5000

struct backlog_watch;

/* The queue and the telemetry outlive the watch. */
MUST_CHECK int backlog_watch_open(uv_loop_t *loop, struct queue *queue, struct telemetry *telemetry,
                                  struct backlog_watch **watch);

/* The queue's connection is ready: ask at once. */
void backlog_watch_ask(struct backlog_watch *watch);

/* `closed` runs, and the watch is gone, when nothing of it is left on the loop. */
void backlog_watch_close(struct backlog_watch *watch, void (*closed)(void *context), void *context);
