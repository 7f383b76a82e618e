#include "store/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "script_table.h"

/* What Redis reads of a connection at a time (PROTO_IOBUF_LEN), and so what one lane brings to one turn of Redis. */
#define LANE_BYTES 16384
#define LANE_NAME_SIZE 128

struct queue {
    struct redis *lanes[QUEUE_LANES_MAXIMUM]; /* the first one is for all other commands, too */
    char names[QUEUE_LANES_MAXIMUM][LANE_NAME_SIZE];
    size_t lane_count;
    struct queue_options options;
    struct keys keys;
    char window[24]; /* the dedupe window as text: the hot path sends it with each event */
    size_t puts;     /* under way */
    size_t put_bytes;
    void (*closed)(void *context); /* once the last lane is closed */
    void *closed_context;
};

static int open_lane(uv_loop_t *loop, struct queue *queue)
{
    static const struct redis_script *const put_alone[] = {&script_put, NULL};
    const struct queue_options *options = &queue->options;
    size_t number = queue->lane_count;
    bool first = number == 0;
    (void)snprintf(queue->names[number], LANE_NAME_SIZE, first ? "%s" : "%s-%zu", options->name, number + 1);
    struct redis_options redis_options = {
        .url = options->url,
        .name = queue->names[number],
        .connect_timeout_ms = options->call_timeout_ms,
        .call_timeout_ms = options->call_timeout_ms,
        .check_every_ms = options->check_every_ms,
        .probe = first ? queue->keys.probe : NULL,
        .max_calls = options->max_calls,
        .max_bytes = options->max_bytes,
        .scripts = first ? script_table() : put_alone,
        .on_state = first ? options->on_state : NULL,
        .context = options->context,
    };
    int status = redis_open(loop, &redis_options, &queue->lanes[number]);
    queue->lane_count += status == 0 ? 1 : 0;
    return status;
}

int queue_open(uv_loop_t *loop, const struct queue_options *options, struct queue **opened)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }
    keys_init(&queue->keys, options->namespace);
    queue->options = *options;
    (void)snprintf(queue->window, sizeof(queue->window), "%" PRIu64, options->dedupe_window_ms);
    int status = open_lane(loop, queue);
    if (status < 0) {
        free(queue);
        return status;
    }
    while (status == 0 && queue->lane_count < options->lanes && queue->lane_count < QUEUE_LANES_MAXIMUM) {
        status = open_lane(loop, queue); /* out of memory: those that are there will do */
    }
    *opened = queue;
    return 0;
}

static void on_lane_closed(void *context)
{
    struct queue *queue = context;
    if (--queue->lane_count > 0) {
        return;
    }
    void (*closed)(void *) = queue->closed;
    void *closed_context = queue->closed_context;
    free(queue);
    closed(closed_context);
}

void queue_close(struct queue *queue, void (*closed)(void *context), void *context)
{
    queue->closed = closed;
    queue->closed_context = context;
    for (size_t i = 0, count = queue->lane_count; i < count; i++) {
        redis_close(queue->lanes[i], on_lane_closed, queue);
    }
}

bool queue_is_ready(const struct queue *queue)
{
    return redis_is_ready(queue->lanes[0]);
}

enum redis_trouble queue_trouble(const struct queue *queue)
{
    return redis_trouble(queue->lanes[0]);
}

size_t queue_ready_lanes(const struct queue *queue)
{
    size_t ready = 0;
    for (size_t i = 0; i < queue->lane_count; i++) {
        ready += redis_is_ready(queue->lanes[i]) ? 1 : 0;
    }
    return ready;
}

struct redis *queue_redis(const struct queue *queue)
{
    return queue->lanes[0];
}

const struct keys *queue_keys(const struct queue *queue)
{
    return &queue->keys;
}

uint64_t queue_dedupe_window_ms(const struct queue *queue)
{
    return queue->options.dedupe_window_ms;
}

uint64_t queue_history_ms(const struct queue *queue)
{
    return queue->options.history_ms;
}

static void on_put(struct redis_call *call, const redisReply *reply)
{
    struct queue_put *put = CONTAINER_OF(call, struct queue_put, call);
    put->queue->puts--;
    put->queue->put_bytes -= put->bytes;
    enum queue_put_outcome outcome = QUEUE_PUT_UNKNOWN;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        outcome = reply->integer == 1 ? QUEUE_PUT_QUEUED : QUEUE_PUT_DUPLICATE;
    }
    put->callback(put, outcome);
}

/*
 * Fills one lane before it takes the next: while Redis keeps up, all events leave in one write; when it does not, as
 * with a disk to wait for, it finds as many at each turn as there are lanes to read.
 */
static struct redis *choose_lane(const struct queue *queue)
{
    struct redis *best = NULL;
    for (size_t i = 0; i < queue->lane_count; i++) {
        struct redis *lane = queue->lanes[i];
        if (!redis_is_ready(lane)) {
            continue;
        }
        if (redis_bytes(lane) < LANE_BYTES) {
            return lane;
        }
        best = best && redis_bytes(best) <= redis_bytes(lane) ? best : lane;
    }
    return best;
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
    struct redis *lane = choose_lane(queue);
    if (!lane) {
        return -ENOTCONN;
    }
    if (queue->puts >= queue->options.max_calls || queue->put_bytes >= queue->options.max_bytes) {
        return -ENOBUFS;
    }
    size_t before = redis_bytes(lane);
    put->call.callback = on_put;
    int status = redis_script_call(lane, &put->call, &script_put, 2, ARRAY_LENGTH(arguments), arguments);
    if (status == 0) {
        put->queue = queue;
        put->bytes = redis_bytes(lane) - before;
        queue->puts++;
        queue->put_bytes += put->bytes;
    }
    return status;
}

int queue_ask(struct queue *queue, struct redis_call *call, struct text event)
{
    char seen[KEY_MAXIMUM];
    struct text arguments[] = {TEXT("EXISTS"), keys_make(&queue->keys, "seen", event, seen)};
    return redis_command(queue->lanes[0], call, ARRAY_LENGTH(arguments), arguments);
}
