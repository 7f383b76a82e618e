#include "store/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "base/log.h"
#include "script_table.h"

/* What Redis reads of a connection at a time (PROTO_IOBUF_LEN), and so what one lane brings to one turn of Redis. */
#define LANE_BYTES 16384
#define LANE_NAME_SIZE 128
#define NO_LANE SIZE_MAX

struct queue {
    struct redis *lanes[QUEUE_LANES_MAXIMUM]; /* the first one is for all other commands, too */
    char names[QUEUE_LANES_MAXIMUM][LANE_NAME_SIZE];
    struct barrier barriers[QUEUE_LANES_MAXIMUM];
    enum durability durability; /* as Redis said last */
    size_t lane_count;
    struct queue_options options;
    struct keys keys;
    char window[24]; /* the dedupe window as text: the hot path sends it with each event */
    size_t puts;     /* under way */
    size_t put_bytes;
    void (*closed)(void *context); /* once the last lane is closed */
    void *closed_context;
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

static void open_barrier(struct queue *queue, size_t number)
{
    queue->barriers[number] = (struct barrier){
        .redis = queue->lanes[number],
        .key = queue->keys.probe,
        .mode = queue->options.durability,
        .replicas = queue->options.replicas,
        .timeout_ms = queue->options.call_timeout_ms / 3 + 1, /* one may have to wait for the one before it, too */
    };
    barrier_init(&queue->barriers[number]);
}

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
        .probe = queue->keys.probe,
        .probes_idle = first,
        .key = queue->keys.events,
        .max_calls = options->max_calls,
        .max_bytes = options->max_bytes,
        .scripts = first ? script_table() : put_alone,
        /* Those that only store events need not be judged again, unless they may not be used unjudged. */
        .admit = first || options->require_durable ? admit : NULL,
        .on_state = first ? on_lane_state : NULL,
        .context = queue,
    };
    int status = redis_open(loop, &redis_options, &queue->lanes[number]);
    if (status == 0) {
        open_barrier(queue, number);
        queue->lane_count++;
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
    queue->options = *options;
    (void)snprintf(queue->window, sizeof(queue->window), "%" PRIu64, options->dedupe_window_ms);
    int status = open_lane(loop, queue);
    if (status < 0) {
        free(queue);
        return status;
    }
    /* Waiting for safety stops a connection: the first one must go on. */
    size_t least = options->durability == DURABILITY_MEMORY ? 1 : 2;
    while (status == 0 && queue->lane_count < (options->lanes > least ? options->lanes : least) &&
           queue->lane_count < QUEUE_LANES_MAXIMUM) {
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

enum durability queue_durability(const struct queue *queue)
{
    return queue->durability;
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

static void on_put(struct redis_call *call, const redisReply *reply)
{
    struct queue_put *put = CONTAINER_OF(call, struct queue_put, call);
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

/*
 * Fills one lane before it takes the next: while Redis keeps up, all events leave in one write; when it does not, as
 * with a disk to wait for, it finds as many at each turn as there are lanes to read.
 */
static size_t choose_lane(const struct queue *queue)
{
    size_t best = NO_LANE;
    for (size_t i = queue->options.durability == DURABILITY_MEMORY ? 0 : 1; i < queue->lane_count; i++) {
        const struct redis *lane = queue->lanes[i];
        if (!redis_is_ready(lane)) {
            continue;
        }
        if (redis_bytes(lane) < LANE_BYTES) {
            return i;
        }
        best = best != NO_LANE && redis_bytes(queue->lanes[best]) <= redis_bytes(lane) ? best : i;
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
    size_t number = choose_lane(queue);
    if (number == NO_LANE) {
        return -ENOTCONN;
    }
    struct redis *lane = queue->lanes[number];
    if (queue->puts >= queue->options.max_calls || queue->put_bytes >= queue->options.max_bytes) {
        return -ENOBUFS;
    }
    size_t before = redis_bytes(lane);
    put->call.callback = on_put;
    int status = redis_script_call(lane, &put->call, &script_put, 2, ARRAY_LENGTH(arguments), arguments);
    if (status == 0) {
        put->queue = queue;
        put->barrier = &queue->barriers[number];
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
