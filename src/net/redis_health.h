#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "net/redis_call.h"
#include "net/redis_options.h"
#include "net/redis_trouble.h"
#include "redis_pipeline.h"

/*
 * Whether a server that we are connected to is of use. What it answers tells, and when nothing comes for a while it is
 * asked: by PING, or by a write, which shows what a PING does not: no memory, no disk, no longer the primary; or, when
 * a slot was in two places, by a command with several keys, which is refused as long as it is.
 *
 *   begin ──▶ fine ◀──▶ held: it refuses us, and is asked again after 100 ms, doubling to 2 s
 *                └────────┴──▶ end
 */
struct redis_health {
    const struct redis_options *options;
    struct redis_pipeline *pipeline;
    void (*on_change)(void *context, bool fine);
    void *context;
    enum redis_trouble trouble; /* what keeps the server from being of use, or kept the last one from being reached */
    bool begun;
    bool heard;       /* something came since the last pulse */
    uv_timer_t pulse; /* for the next check */
    struct redis_call check;
    bool checking;
    unsigned waits; /* checks in a row that found the trouble still there */
    void (*closed)(void *context);
};

/* `options` and `pipeline` outlive it. `on_change` runs when a server that was fine is held, and when it serves again:
 * inside redis_health_hear() or from the loop. */
void redis_health_init(struct redis_health *health, uv_loop_t *loop, const struct redis_options *options,
                       struct redis_pipeline *pipeline, void (*on_change)(void *context, bool fine), void *context);

/* A server was greeted, and is fine. */
void redis_health_begin(struct redis_health *health);

/* It was lost, or none was found, because of `trouble`. */
void redis_health_end(struct redis_health *health, enum redis_trouble trouble);

/* It has answered, with `error` (or NULL) in it. REDIS_FINE, or the trouble for which another server is to be found. */
enum redis_trouble redis_health_hear(struct redis_health *health, const char *error);

/* How often a trouble was met, by all of this process. From any thread. */
uint64_t redis_health_met(enum redis_trouble trouble);

/* Nothing of it runs any more; `closed` runs with its context when nothing of it is left on the loop. */
void redis_health_close(struct redis_health *health, void (*closed)(void *context));
