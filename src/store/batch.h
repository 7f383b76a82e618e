#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/list.h"
#include "net/redis.h"
#include "store/queue.h"

/*
 * Events that are put with one call of the script, each with its own mark and its own answer.
 *
 *   batch_begin(), batch_add() for each, batch_send() or batch_give_up(); then it may begin anew.
 *
 * Zeroed memory, with `on_answer` and `on_end` filled in, is one that can begin.
 */
struct batch {
    struct list link;    /* the owner's */
    struct queue *queue; /* the owner */
    struct redis_call call;
    struct list puts; /* of struct queue_put, in the order of their answers */
    size_t count;     /* of them */
    struct redis_words keys;
    struct redis_words arguments; /* of all of them: larger than all else */
    /* What became of one: the integer 1, queued; 0, there before; an error; or NULL: unknown. */
    void (*on_answer)(struct queue_put *put, const struct redisReply *reply);
    void (*on_end)(struct batch *batch); /* all have been answered */
};

/* What the script takes of each event beside its mark's key. */
#define BATCH_ARGUMENTS 9

/* `events` is the stream's key, `window` the dedupe window in ms. 0 or -ENOMEM: then it can only be freed. */
MUST_CHECK int batch_begin(struct batch *batch, struct text events, struct text window);

/* `mark` and `arguments` are copied. 0 or -ENOMEM: then it is as it was. */
MUST_CHECK int batch_add(struct batch *batch, struct queue_put *put, struct text mark,
                         const struct text arguments[BATCH_ARGUMENTS]);

/* Bytes of what goes to Redis. */
size_t batch_bytes(const struct batch *batch);

/* Sends it, right before the loop polls. Should `redis` refuse it, nothing is known of any event, which on_answer()
 * hears inside this. */
void batch_send(struct batch *batch, struct redis *redis);

/* Gives up one that was not sent, as if it had been refused. */
void batch_give_up(struct batch *batch);

/* One that is not under way. */
void batch_free(struct batch *batch);
