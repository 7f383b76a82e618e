#include "store/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "base/holds.h"
#include "base/list.h"
#include "base/log.h"
#include "batch.h"
#include "script_table.h"

/* What one lane brings to Redis before the next is taken: more makes batches larger, less keeps Redis and us from
 * waiting for each other. Redis reads 16 KB of a connection at a time (PROTO_IOBUF_LEN). */
#define LANE_BYTES 32768
#define BATCH_EVENTS 16 /* Redis serves nobody else during one batch */
#define SPARE_MAXIMUM 64
#define SPARE_BYTES_MAXIMUM 131072 /* of one of them */
#define LANE_NAME_SIZE 128

/* A connection that events are put through. */
struct lane {
    struct redis *redis;
    char name[LANE_NAME_SIZE];
    struct barrier barrier;
    struct list unsent; /* of struct batch: what this turn of the loop has gathered for it */
    size_t unsent_bytes;
};

struct queue {
    struct lane lanes[QUEUE_LANES_MAXIMUM]; /* the first one is for all other commands, too */
    size_t lane_count;
    enum durability durability; /* as Redis said last */
    struct list spare;          /* of struct batch, for reuse */
    size_t spare_count;
    uv_idle_t turn_end; /* runs before the loop polls, once, while anything is unsent */
    struct queue_options options;
    struct keys keys;
    char window[24]; /* the dedupe window as text: the hot path sends it with each batch */
    size_t puts;     /* under way */
    size_t put_bytes;
    struct holds holds; /* the lanes and turn_end */
};

/* ---- what is asked of Redis */

/* Said once, and again when it is another: each connection of each loop hears the same. */
static void tell_durability(const struct redis_facts *facts, enum durability durability, const char *reason)
{
    static _Atomic uint64_t told;
    uint64_t now = 1;
    for (const char *at = reason; *at; at++) {
        now = now * 31 + (unsigned char)*at;
    }
    if (atomic_exchange(&told, now) == now) {
        return;
    }
    const char *version = facts->version[0] ? facts->version : "unknown";
    if (durability == DURABILITY_WEAK) {
        log_warn("redis can lose events that were answered 200", LOG_STRING("why", reason),
                 LOG_STRING("version", version));
    } else {
        log_info("how safe events are in redis", LOG_STRING("durability", durability_names[durability]),
                 LOG_STRING("why", reason), LOG_STRING("version", version));
    }
}

static enum redis_trouble refuse_version(char why[REDIS_WHY_SIZE], const char *version, const char *needed)
{
    (void)snprintf(why, REDIS_WHY_SIZE, "Redis %s is too old: %s", version, needed);
    return REDIS_UNSUITABLE;
}

static enum redis_trouble judge(struct queue *queue, const struct redis_facts *facts, char why[REDIS_WHY_SIZE])
{
    unsigned version = facts->version_number;
    if (version != 0 && version < 60200) {
        return refuse_version(why, facts->version, "6.2 is needed");
    }
    if (queue->options.durability == DURABILITY_AOF && version != 0 && version < 70200) {
        return refuse_version(why, facts->version,
                              "IDENTIHOOK_DURABILITY=aof needs WAITAOF, of 7.2; appendfsync always with "
                              "IDENTIHOOK_DURABILITY=memory is as safe");
    }
    char reason[DURABILITY_REASON_SIZE];
    queue->durability = durability_judge(facts, reason);
    if (queue->options.tells_durability) {
        tell_durability(facts, queue->durability, reason);
    }
    if (!queue->options.require_durable || queue->durability == DURABILITY_SOUND) {
        return REDIS_FINE;
    }
    (void)snprintf(why, REDIS_WHY_SIZE, "%.*s", REDIS_WHY_SIZE - 1, reason);
    return REDIS_NOT_DURABLE;
}

static enum redis_trouble admit(void *context, const struct redis_facts *facts, char why[REDIS_WHY_SIZE])
{
    struct queue *queue = context;
    enum redis_trouble trouble = judge(queue, facts, why);
    if (trouble != REDIS_FINE && queue->options.on_refused) {
        queue->options.on_refused(queue->options.context, why);
    }
    return trouble;
}

static void on_lane_state(void *context, bool ready)
{
    const struct queue *queue = context;
    if (queue->options.on_state) {
        queue->options.on_state(queue->options.context, ready);
    }
}

/* ---- the lanes */

static void open_barrier(const struct queue *queue, struct lane *lane)
{
    lane->barrier = (struct barrier){
        .redis = lane->redis,
        .key = queue->keys.probe,
        .mode = queue->options.durability,
        .replicas = queue->options.replicas,
        .timeout_ms = queue->options.call_timeout_ms / 3 + 1, /* one may have to wait for the one before it, too */
    };
    barrier_init(&lane->barrier);
}

static int open_lane(uv_loop_t *loop, struct queue *queue)
{
    static const struct redis_script *const put_alone[] = {&script_put, NULL};
    const struct queue_options *options = &queue->options;
    struct lane *lane = &queue->lanes[queue->lane_count];
    bool first = queue->lane_count == 0;
    (void)snprintf(lane->name, LANE_NAME_SIZE, first ? "%s" : "%s-%zu", options->name, queue->lane_count + 1);
    struct redis_options redis_options = {
        .url = options->url,
        .name = lane->name,
        .connect_timeout_ms = options->call_timeout_ms,
        .call_timeout_ms = options->call_timeout_ms,
        .check_every_ms = options->check_every_ms,
        .probe = queue->keys.probe,
        .probes_idle = first,
        .key = queue->keys.events,
        /* What waits for replicas or the disk waits for those of the server that this connection leads to. */
        .never_asks = !first && options->durability != DURABILITY_MEMORY,
        .max_calls = options->max_calls,
        .max_bytes = options->max_bytes,
        .scripts = first ? script_table() : put_alone,
        /* Those that only store events need not be judged again, unless they may not be used unjudged. */
        .admit = first || options->require_durable ? admit : NULL,
        .on_state = first ? on_lane_state : NULL,
        .context = queue,
    };
    list_init(&lane->unsent);
    int status = redis_open(loop, &redis_options, &lane->redis);
    if (status == 0) {
        open_barrier(queue, lane);
        queue->lane_count++;
        queue->holds.count++;
    }
    return status;
}

int queue_open(uv_loop_t *loop, const struct queue_options *options, struct queue **opened)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }
    keys_init(&queue->keys, options->namespace);
    list_init(&queue->spare);
    queue->options = *options;
    (void)snprintf(queue->window, sizeof(queue->window), "%" PRIu64, options->dedupe_window_ms);
    int status = open_lane(loop, queue);
    if (status < 0) {
        free(queue);
        return status;
    }
    (void)uv_idle_init(loop, &queue->turn_end);
    queue->turn_end.data = queue;
    queue->holds.count++;
    /* Waiting for safety stops a connection: the first one must go on. */
    size_t least = options->durability == DURABILITY_MEMORY ? 1 : 2;
    while (status == 0 && queue->lane_count < (options->lanes > least ? options->lanes : least) &&
           queue->lane_count < QUEUE_LANES_MAXIMUM) {
        status = open_lane(loop, queue); /* out of memory: those that are there will do */
    }
    *opened = queue;
    return 0;
}

/* Takes the first batch off what is unsent; NULL when there is none. */
static struct batch *take_unsent(struct lane *lane)
{
    struct list *first = list_pop(&lane->unsent);
    struct batch *batch = first ? LIST_OBJECT(first, struct batch, link) : NULL;
    lane->unsent_bytes -= batch ? batch_bytes(batch) : 0;
    return batch;
}

static void put_away(void *object)
{
    struct queue *queue = object;
    LIST_EACH(&queue->spare, spare, following)
    {
        batch_free(LIST_OBJECT(spare, struct batch, link));
    }
    free(queue);
}

static void on_lane_closed(void *context)
{
    struct queue *queue = context;
    holds_release(&queue->holds, put_away, queue);
}

static void on_turn_end_closed(uv_handle_t *handle)
{
    struct queue *queue = handle->data;
    holds_release(&queue->holds, put_away, queue);
}

void queue_close(struct queue *queue, void (*closed)(void *context), void *context)
{
    holds_close(&queue->holds, closed, context);
    for (size_t i = 0; i < queue->lane_count; i++) {
        redis_close(queue->lanes[i].redis, on_lane_closed, queue);
    }
    for (size_t i = 0; i < queue->lane_count; i++) {
        struct batch *batch;
        while ((batch = take_unsent(&queue->lanes[i])) != NULL) {
            batch_give_up(batch);
        }
    }
    uv_close((uv_handle_t *)&queue->turn_end, on_turn_end_closed);
}

bool queue_is_ready(const struct queue *queue)
{
    return redis_is_ready(queue->lanes[0].redis);
}

enum durability queue_durability(const struct queue *queue)
{
    return queue->durability;
}

enum redis_trouble queue_trouble(const struct queue *queue)
{
    return redis_trouble(queue->lanes[0].redis);
}

size_t queue_ready_lanes(const struct queue *queue)
{
    size_t ready = 0;
    for (size_t i = 0; i < queue->lane_count; i++) {
        ready += redis_is_ready(queue->lanes[i].redis) ? 1 : 0;
    }
    return ready;
}

struct redis *queue_redis(const struct queue *queue)
{
    return queue->lanes[0].redis;
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

/* ---- putting */

static void end_put(struct queue_put *put, bool confirmed)
{
    put->queue->puts--;
    put->queue->put_bytes -= put->bytes;
    put->callback(put, !confirmed ? QUEUE_PUT_UNKNOWN : put->duplicate ? QUEUE_PUT_DUPLICATE : QUEUE_PUT_QUEUED);
}

static void on_passed(struct barrier_wait *wait, bool confirmed)
{
    end_put(CONTAINER_OF(wait, struct queue_put, wait), confirmed);
}

static void on_answer(struct queue_put *put, const redisReply *reply)
{
    bool confirmed = reply && reply->type == REDIS_REPLY_INTEGER;
    put->duplicate = confirmed && reply->integer != 1;
    if (!confirmed || put->queue->options.durability == DURABILITY_MEMORY) {
        end_put(put, confirmed);
        return;
    }
    put->wait = (struct barrier_wait){.callback = on_passed};
    if (barrier_join(put->barrier, &put->wait) < 0) {
        end_put(put, false);
    }
}

static void on_batch_end(struct batch *batch)
{
    struct queue *queue = batch->queue;
    if (queue->spare_count >= SPARE_MAXIMUM || batch->arguments.bytes.capacity > SPARE_BYTES_MAXIMUM) {
        batch_free(batch);
        return;
    }
    list_prepend(&queue->spare, &batch->link); /* the next one finds its memory in the cache */
    queue->spare_count++;
}

/* One that can be added to, or NULL. */
static struct batch *new_batch(struct queue *queue)
{
    struct list *spare = list_pop(&queue->spare);
    struct batch *batch = spare ? LIST_OBJECT(spare, struct batch, link) : calloc(1, sizeof(*batch));
    if (!batch) {
        return NULL;
    }
    queue->spare_count -= spare ? 1 : 0;
    batch->queue = queue;
    batch->on_answer = on_answer;
    batch->on_end = on_batch_end;
    if (batch_begin(batch, text_of(queue->keys.events), text_of(queue->window)) < 0) {
        batch_free(batch);
        return NULL;
    }
    return batch;
}

/* What is sent here leaves in the same turn: the connections write right before the loop polls. */
static void on_turn_end(uv_idle_t *handle)
{
    struct queue *queue = handle->data;
    (void)uv_idle_stop(handle);
    for (size_t i = 0; i < queue->lane_count; i++) {
        struct batch *batch;
        while ((batch = take_unsent(&queue->lanes[i])) != NULL) {
            batch_send(batch, queue->lanes[i].redis);
        }
    }
}

/* The batch of this turn that takes one more, or NULL. */
static struct batch *unfilled_batch(const struct lane *lane)
{
    struct list *last = list_last(&lane->unsent);
    struct batch *batch = last ? LIST_OBJECT(last, struct batch, link) : NULL;
    return batch && batch->count < BATCH_EVENTS && batch_bytes(batch) < LANE_BYTES ? batch : NULL;
}

static int add_unsent(struct queue *queue, struct lane *lane, struct queue_put *put, struct text mark,
                      const struct text arguments[BATCH_ARGUMENTS])
{
    struct batch *unfilled = unfilled_batch(lane);
    struct batch *batch = unfilled ? unfilled : new_batch(queue);
    size_t before = unfilled ? batch_bytes(unfilled) : 0;
    int status = batch ? batch_add(batch, put, mark, arguments) : -ENOMEM;
    if (status < 0) {
        if (batch && !unfilled) {
            batch_free(batch);
        }
        return status;
    }
    put->bytes = batch_bytes(batch) - before;
    lane->unsent_bytes += put->bytes;
    if (!unfilled) {
        list_append(&lane->unsent, &batch->link);
        (void)uv_idle_start(&queue->turn_end, on_turn_end);
    }
    return 0;
}

/* What a lane has under way, or will have at the end of this turn. */
static size_t lane_bytes(const struct lane *lane)
{
    return redis_bytes(lane->redis) + lane->unsent_bytes;
}

static bool is_full(const struct queue *queue, const struct lane *lane)
{
    const struct queue_options *options = &queue->options;
    return queue->puts >= options->max_calls || queue->put_bytes >= options->max_bytes ||
           redis_calls(lane->redis) >= options->max_calls || lane_bytes(lane) >= options->max_bytes;
}

/*
 * Fills one lane before it takes the next: while Redis keeps up, all events leave in one write; when it does not, as
 * with a disk to wait for, it finds as many at each turn as there are lanes to read. NULL: none is ready.
 */
static struct lane *choose_lane(struct queue *queue)
{
    struct lane *best = NULL;
    for (size_t i = queue->options.durability == DURABILITY_MEMORY ? 0 : 1; i < queue->lane_count; i++) {
        struct lane *lane = &queue->lanes[i];
        if (!redis_is_ready(lane->redis)) {
            continue;
        }
        if (lane_bytes(lane) < LANE_BYTES) {
            return lane;
        }
        best = best && lane_bytes(best) <= lane_bytes(lane) ? best : lane;
    }
    return best;
}

int queue_put(struct queue *queue, struct queue_put *put, const struct event *event, int64_t received_ms,
              struct text payload)
{
    char seen[KEY_MAXIMUM];
    char created[DECIMAL_SIZE];
    char received[DECIMAL_SIZE];
    struct text arguments[BATCH_ARGUMENTS] = {
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
    struct lane *lane = choose_lane(queue);
    if (!lane) {
        return -ENOTCONN;
    }
    if (is_full(queue, lane)) {
        return -ENOBUFS;
    }
    int status = add_unsent(queue, lane, put, keys_make(&queue->keys, "seen", event->id, seen), arguments);
    if (status == 0) {
        put->queue = queue;
        put->barrier = &lane->barrier;
        queue->puts++;
        queue->put_bytes += put->bytes;
    }
    return status;
}

int queue_ask(struct queue *queue, struct redis_call *call, struct text event)
{
    char seen[KEY_MAXIMUM];
    struct text arguments[] = {TEXT("EXISTS"), keys_make(&queue->keys, "seen", event, seen)};
    return redis_command(queue->lanes[0].redis, call, ARRAY_LENGTH(arguments), arguments);
}
