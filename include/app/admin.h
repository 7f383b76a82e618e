#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/console.h"
#include "app/reactor.h"
#include "base/attributes.h"
#include "net/listener.h"

/*
 * What the admin listener answers, in every role:
 *
 *   GET /          the operator console (app/console.h)
 *   GET /healthz   200 while every loop turns; 503 when one has not for HEALTH_STUCK_MS. For "restart it" probes.
 *   GET /readyz    200 when the process can do its work; 503 with the component that cannot. For "send it traffic"
 *                  probes. PostgreSQL is told, where rows are written, and does not turn it red.
 *   GET /metrics   Prometheus's text format.
 */
#define HEALTH_STUCK_MS 5000

struct admin {
    struct reactor *const *reactors; /* these outlive the admin listener */
    size_t reactor_count;
    bool draining;           /* set when the process is to stop: readiness goes red */
    struct console *console; /* outlives the admin listener */
    struct buffer body;
};

/* For the listener; its context is a struct admin. */
extern const struct conn_handler admin_handler;

/* False when a loop has not turned for HEALTH_STUCK_MS. */
bool admin_loops_turn(const struct admin *admin);

void admin_free(struct admin *admin);
