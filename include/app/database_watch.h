#pragma once

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "net/postgres.h"

/*
 * Knows how PostgreSQL is, for /readyz, /metrics and the console: asks for the version of its tables every
 * DATABASE_WATCH_INTERVAL_MS, and sooner after an answer that was no good. Logs what is to be done about the tables.
 */
#define DATABASE_WATCH_INTERVAL_MS 10000
#define DATABASE_WATCH_RETRY_MS 2000

struct database_watch;

/* Asks at once. The pool and the telemetry outlive the watch. */
MUST_CHECK int database_watch_open(uv_loop_t *loop, struct postgres *postgres, struct telemetry *telemetry,
                                   struct database_watch **watch);

/* `closed` runs, and the watch is gone, when nothing of it is left on the loop: before that the pool is to be closed,
 * or to answer. */
void database_watch_close(struct database_watch *watch, void (*closed)(void *context), void *context);
