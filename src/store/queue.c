#include "store/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "script_table.h"

struct queue {
    struct redis *redis;
    struct keys keys;
    uint64_t dedupe_window_ms;
    char window[24]; /* the same as text: the hot path sends it with each event */
};

int queue_open(uv_loop_t *loop, const struct queue_options *options, struct queue **opened)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }
    keys_init(&queue->keys, options->namespace);
    queue->dedupe_window_ms = options->dedupe_window_ms;
    (void)snprintf(queue->window, sizeof(queue->window), "%" PRIu64, options->dedupe_window_ms);
    struct redis_options redis_options = {
        .url = options->url,
        .name = options->name,
        .connect_timeout_ms = options->call_timeout_ms,
        .call_timeout_ms = options->call_timeout_ms,
        .max_calls = options->max_calls,
        .max_bytes = options->max_bytes,
        .scripts = script_table(),
        .on_state = options->on_state,
        .context = options->context,
    };
    int status = redis_open(loop, &redis_options, &queue->redis);
    if (status < 0) {
        free(queue);
        return status;
    }
    *opened = queue;
    return 0;
}

struct closing {
    struct queue *queue;
    void (*closed)(void *context);
    void *context;
};

static void on_closed(void *context)
{
    struct closing closing = *(struct closing *)context;
    free(context);
    free(closing.queue);
    closing.closed(closing.context);
}

void queue_close(struct queue *queue, void (*closed)(void *context), void *context)
{
    struct closing *closing = malloc(sizeof(*closing));
    if (!closing) {
        abort(); /* nothing sensible is left to do while the process ends */
    }
    *closing = (struct closing){.queue = queue, .closed = closed, .context = context};
    redis_close(queue->redis, on_closed, closing);
}

bool queue_is_ready(const struct queue *queue)
{
    return redis_is_ready(queue->redis);
}

struct redis *queue_redis(const struct queue *queue)
{
    return queue->redis;
}

const struct keys *queue_keys(const struct queue *queue)
{
    return &queue->keys;
}

uint64_t queue_dedupe_window_ms(const struct queue *queue)
{
    return queue->dedupe_window_ms;
}

static void on_put(struct redis_call *call, const redisReply *reply)
{
    struct queue_put *put = CONTAINER_OF(call, struct queue_put, call);
    enum queue_put_outcome outcome = QUEUE_PUT_UNKNOWN;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        outcome = reply->integer == 1 ? QUEUE_PUT_QUEUED : QUEUE_PUT_DUPLICATE;
    }
    put->callback(put, outcome);
}

int queue_put(struct queue *queue, struct queue_put *put, const struct event *event, int64_t received_ms,
              struct text payload)
{
    char seen[KEY_MAXIMUM];
    char created[DECIMAL_SIZE];
    char received[DECIMAL_SIZE];
    struct text arguments[] = {
        keys_make(&queue->keys, "seen", event->id, seen),
        text_of(queue->keys.events),
        text_of(queue->window),
        event->id,
        event->type,
        event->session,
        event->account,
        event->livemode ? TEXT("true") : TEXT("false"),
        decimal_write((uint64_t)event->created, created),
        event->api_version,
        decimal_write((uint64_t)received_ms, received),
        payload,
    };
    put->call.callback = on_put;
    return redis_script_call(queue->redis, &put->call, &script_put, 2, ARRAY_LENGTH(arguments), arguments);
}
