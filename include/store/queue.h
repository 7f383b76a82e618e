#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/list.h"
#include "base/redis_url.h"
#include "base/text.h"
#include "net/redis.h"
#include "store/barrier.h"
#include "store/durability.h"
#include "store/keys.h"
#include "stripe/event.h"

/*
 * The durable queue, as the ingest side sees it: a connection for commands, and putting an event in, over that and
 * further ones.
 *
 *            put            take               finish
 *  (nothing) ────▶ unread ───────▶ in process ────────▶ finished
 *                                    │   ▲  │
 *                        retry ◀─────┘   │  └────▶ dead
 *                          └──── due ────┘
 *
 * Each arrow is one Lua script, so an event is in exactly one of these places whatever crashes. See inbox.h for taking
 * events and lease.h for what becomes of them.
 */
struct queue;

#define QUEUE_LANES_MAXIMUM 64

struct queue_options {
    const struct redis_url *url; /* outlives the queue */
    const char *namespace;
    const char *name; /* the connection's, for logs and CLIENT LIST; outlives the queue */
    uint64_t call_timeout_ms;
    uint64_t check_every_ms; /* as of redis_options */
    uint64_t dedupe_window_ms;
    uint64_t history_ms;                /* how long is kept what became of a finished event */
    enum durability_setting durability; /* what is waited for before an event counts as put */
    unsigned replicas;                  /* DURABILITY_REPLICA: how many must have it; at least 1 */
    bool require_durable;               /* a Redis that is not judged DURABILITY_SOUND is not used */
    bool tells_durability;              /* log how safe events are in Redis, when that is known or changes */
    size_t max_calls; /* events being put at once, and their bytes; also the other calls of the first connection */
    size_t max_bytes;
    size_t lanes; /* connections to put events through, 1 to QUEUE_LANES_MAXIMUM; 0 is 1 */
    void (*on_state)(void *context, bool ready);        /* may be NULL */
    void (*on_refused)(void *context, const char *why); /* may be NULL: this Redis is not what these options require */
    void *context;
};

MUST_CHECK int queue_open(uv_loop_t *loop, const struct queue_options *options, struct queue **queue);

/* Calls under way report "unknown" now; `closed` runs when all of it is gone from the loop. */
void queue_close(struct queue *queue, void (*closed)(void *context), void *context);

bool queue_is_ready(const struct queue *queue);

/* What keeps its first connection from being ready. */
enum redis_trouble queue_trouble(const struct queue *queue);

/* How safe what Redis confirms is, as it said when its first connection was made. */
enum durability queue_durability(const struct queue *queue);

/* How many of its connections are ready. */
size_t queue_ready_lanes(const struct queue *queue);

/* The first connection and the keys, for the other parts of the store. */
struct redis *queue_redis(const struct queue *queue);
const struct keys *queue_keys(const struct queue *queue);
uint64_t queue_history_ms(const struct queue *queue);
uint64_t queue_dedupe_window_ms(const struct queue *queue);

enum queue_put_outcome {
    QUEUE_PUT_QUEUED,
    QUEUE_PUT_DUPLICATE, /* it was there before */
    QUEUE_PUT_UNKNOWN, /* Redis did not confirm, or not as safely as is asked for: it may be queued or not, and putting
                          it again is safe */
};

/* Embedded by the caller; stays where it is until its callback has run. */
struct queue_put {
    struct list link; /* among those that leave together */
    struct queue *queue;
    size_t bytes;
    struct barrier *barrier; /* of the connection that it went through */
    struct barrier_wait wait;
    bool duplicate;
    void (*callback)(struct queue_put *put, enum queue_put_outcome outcome);
};

/*
 * Puts an event in, with its mark against duplicates, in one script. Those of one turn of the loop leave together at
 * its end; each has its own outcome. `event` and `payload` (the raw body) are copied; `received_ms` is the wall clock.
 * 0: the callback will run once, later. -ENOTCONN: Redis is away; -ENOBUFS: too much is under way; -ENOMEM.
 */
MUST_CHECK int queue_put(struct queue *queue, struct queue_put *put, const struct event *event, int64_t received_ms,
                         struct text payload);

/* Asks whether an event was put in before. `call->callback` gets the integer 1 or 0, or NULL: no answer. Returns as
 * redis_command() does. */
MUST_CHECK int queue_ask(struct queue *queue, struct redis_call *call, struct text event);
