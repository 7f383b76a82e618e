#include "net/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "base/holds.h"
#include "base/log.h"
#include "base/random.h"
#include "redis_ask.h"
#include "redis_greeting.h"
#include "redis_health.h"
#include "redis_pipeline.h"
#include "redis_private.h"
#include "redis_route.h"
#include "redis_tls.h"

#define BACKOFF_FIRST_MS 20
#define BACKOFF_LAST_MS 2000
#define STABLE_MS 2000 /* a connection that lived so long was a good one */
#define MOVES_USUAL 4  /* in a row, in a cluster that settles */

enum redis_state {
    REDIS_WAITING,    /* for the backoff's timer */
    REDIS_FINDING,    /* for the route: names, sentinels */
    REDIS_CONNECTING, /* for the socket, and TLS */
    REDIS_GREETING,   /* for the replies to the greeting */
    REDIS_READY,
    REDIS_CLOSING /* for the handles */
};

struct redis {
    uv_loop_t *loop;
    struct redis_options options;
    enum redis_state state;
    struct redis_route *route;
    struct tls_context *tls; /* held; NULL: plain */
    struct redis_pipeline pipeline;
    struct redis_greeting greeting;
    struct redis_health health;
    struct redis_ask ask;
    uv_timer_t timer;  /* the backoff, or the connect deadline */
    unsigned failures; /* in a row, for the backoff and for logging a loss once */
    bool loss_told;
    uint64_t ready_at_ms;
    struct holds holds; /* the timer, and what it is made of */
};

static void on_timer(uv_timer_t *timer);

/* ---- calls */

/* A request to be filled in and sent. 0 or a negative code. */
static int admit(struct redis *redis, struct redis_call *call, struct redis_request **request)
{
    if (redis->state != REDIS_READY) {
        return -ENOTCONN;
    }
    if (redis_calls(redis) >= redis->options.max_calls || redis_bytes(redis) >= redis->options.max_bytes) {
        return -ENOBUFS;
    }
    *request = redis_pipeline_request(&redis->pipeline, call);
    return *request ? 0 : -ENOMEM;
}

int redis_command(struct redis *redis, struct redis_call *call, size_t count, const struct text *arguments)
{
    struct redis_request *request;
    int status = admit(redis, call, &request);
    if (status < 0) {
        return status;
    }
    redis_request_command(request, count, arguments);
    return redis_pipeline_send(&redis->pipeline, request);
}

int redis_script_call(struct redis *redis, struct redis_call *call, const struct redis_script *script, size_t keys,
                      size_t count, const struct text *arguments)
{
    struct redis_request *request;
    int status = admit(redis, call, &request);
    if (status < 0) {
        return status;
    }
    redis_request_script(request, script, keys, count, arguments);
    return redis_pipeline_send(&redis->pipeline, request);
}

int redis_script_call_words(struct redis *redis, struct redis_call *call, const struct redis_script *script,
                            const struct redis_words *keys, const struct redis_words *arguments)
{
    struct redis_request *request;
    int status = admit(redis, call, &request);
    if (status < 0) {
        return status;
    }
    redis_request_script_words(request, script, keys, arguments);
    return redis_pipeline_send(&redis->pipeline, request);
}

int redis_send_encoded(struct redis *redis, struct redis_call *call, struct text bytes)
{
    struct redis_request *request;
    int status = admit(redis, call, &request);
    if (status < 0) {
        return status;
    }
    buffer_append(&request->bytes, bytes);
    return redis_pipeline_send(&redis->pipeline, request);
}

/* ---- losing a connection */

static void tell_state(void *context, bool ready)
{
    const struct redis *redis = context;
    if (redis->options.on_state) {
        redis->options.on_state(redis->options.context, ready);
    }
}

static void wait_and_begin(struct redis *redis)
{
    uint64_t ceiling = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < redis->failures && ceiling < BACKOFF_LAST_MS; i++) {
        ceiling *= 2;
    }
    ceiling = ceiling < BACKOFF_LAST_MS ? ceiling : BACKOFF_LAST_MS;
    redis->failures++;
    redis->state = REDIS_WAITING;
    (void)uv_timer_start(&redis->timer, on_timer, ceiling / 2 + random_below(ceiling / 2 + 1), 0);
}

/* Once when it goes, and then seldom: a long outage must not fill the disk. That a cluster sends us on is no loss. */
static void report_loss(struct redis *redis, enum redis_trouble trouble, const char *why)
{
    if (trouble == REDIS_MOVED && redis->failures < MOVES_USUAL) {
        log_debug("the cluster sends us to another node", LOG_STRING("connection", redis->options.name),
                  LOG_STRING("why", why));
    } else if (redis->failures == 0 || redis->failures % 32 == 0) {
        redis->loss_told = true;
        log_warn("redis connection lost", LOG_STRING("connection", redis->options.name), LOG_STRING("why", why),
                 LOG_STRING("fix", redis_trouble_advice(trouble)), LOG_NUMBER("failures", redis->failures + 1));
    }
}

static void lose(struct redis *redis, enum redis_trouble trouble, const char *why)
{
    char reason[REDIS_WHY_SIZE]; /* `why` may belong to what goes now */
    bool was_ready = redis_is_ready(redis);
    (void)snprintf(reason, sizeof(reason), "%s", why);
    if (redis->state == REDIS_READY && uv_now(redis->loop) >= redis->ready_at_ms + STABLE_MS) {
        redis->failures = 0;
    }
    if (trouble == REDIS_MOVED) {
        redis_route_follow(redis->route, text_of(reason));
    }
    redis_route_cancel(redis->route);
    redis_pipeline_disconnect(&redis->pipeline);
    redis_greeting_abandon(&redis->greeting);
    report_loss(redis, trouble, reason);
    redis_health_end(&redis->health, trouble);
    wait_and_begin(redis);
    redis_pipeline_fail(&redis->pipeline);
    redis_ask_drop(&redis->ask);
    if (was_ready && redis->state != REDIS_CLOSING) {
        tell_state(redis, false);
    }
}

void redis_reconnect(struct redis *redis, const char *why)
{
    if (redis->state == REDIS_READY) {
        lose(redis, REDIS_AWAY, why);
    }
}

static void on_lost(void *context, enum redis_trouble trouble, const char *why)
{
    lose(context, trouble, why);
}

/* The first error that it is or has among its elements: a script may answer several things, each in its own way. */
static const char *error_in(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return reply->str;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_ERROR) {
            return reply->element[i]->str;
        }
    }
    return NULL;
}

static void on_reply(void *context, const redisReply *reply)
{
    struct redis *redis = context;
    const char *error = error_in(reply);
    enum redis_trouble trouble = redis_health_hear(&redis->health, error);
    if (trouble != REDIS_FINE) {
        lose(redis, trouble, error);
    }
}

/* Whether this connection leads to the right node is not another one's to say. */
static void on_asked(void *context, const redisReply *reply)
{
    struct redis *redis = context;
    (void)redis_health_hear(&redis->health, error_in(reply));
}

static bool on_ask(void *context, struct redis_request *request, const char *error)
{
    struct redis *redis = context;
    struct redis_node node;
    return redis->state == REDIS_READY && !redis->options.never_asks &&
           redis_route_read(redis->route, text_of(error), &node) && redis_ask_send(&redis->ask, &node, request) == 0;
}

/* ---- connecting */

static void become_ready(struct redis *redis)
{
    if (redis->loss_told) {
        redis->loss_told = false;
        log_info("redis connection is back", LOG_STRING("connection", redis->options.name),
                 LOG_NUMBER("failures", redis->failures));
    }
    redis->state = REDIS_READY;
    redis->ready_at_ms = uv_now(redis->loop);
    (void)uv_timer_stop(&redis->timer);
    redis_health_begin(&redis->health);
    tell_state(redis, true);
}

static void on_greeted(void *context, enum redis_trouble trouble, const char *why)
{
    struct redis *redis = context;
    if (trouble == REDIS_FINE) {
        become_ready(redis);
    } else {
        lose(redis, trouble, why);
    }
}

static void on_open(void *context)
{
    struct redis *redis = context;
    redis->state = REDIS_GREETING;
    if (redis_greeting_begin(&redis->greeting) < 0) {
        lose(redis, REDIS_AWAY, "the greeting could not be sent");
    }
}

static void on_found(void *context, const struct redis_place *place, const char *why)
{
    struct redis *redis = context;
    if (!place) {
        lose(redis, REDIS_AWAY, why);
        return;
    }
    const char *name = redis->options.url->server_name ? redis->options.url->server_name : place->host;
    redis->state = REDIS_CONNECTING;
    int status = redis_pipeline_connect(&redis->pipeline, place->path, (const struct sockaddr *)&place->address,
                                        redis->tls, name);
    if (status < 0) {
        lose(redis, REDIS_AWAY, uv_strerror(status));
    }
}

/* Files that have become faulty since the start leave the context as it was. */
static void renew_tls(struct redis *redis)
{
    struct tls_context *fresh;
    char error[256];
    if (!redis->options.url->tls) {
        return;
    }
    if (redis_tls_acquire(redis->options.url, &fresh, error) == 0) {
        tls_context_release(redis->tls);
        redis->tls = fresh;
        return;
    }
    static struct log_limit limit;
    uint64_t suppressed;
    if (log_limit_pass(&limit, 60000, &suppressed)) {
        log_error("the certificates for redis stay as they were", LOG_STRING("error", error),
                  LOG_NUMBER("suppressed", suppressed));
    }
}

static void begin(struct redis *redis)
{
    redis->state = REDIS_FINDING;
    (void)uv_timer_start(&redis->timer, on_timer, redis->options.connect_timeout_ms, 0);
    renew_tls(redis);
    redis_route_find(redis->route, redis->tls);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    switch (redis->state) {
    case REDIS_WAITING:
        begin(redis);
        break;
    case REDIS_CONNECTING:
        if (redis->tls && redis_pipeline_is_connected(&redis->pipeline)) {
            lose(redis, REDIS_TLS_FAILS, "TLS failed: no answer to the handshake; does this port speak TLS?");
            break;
        }
        /* fall through */
    case REDIS_FINDING:
    case REDIS_GREETING:
        lose(redis, REDIS_AWAY, "it did not answer in time");
        break;
    case REDIS_READY:
    case REDIS_CLOSING:
    default:
        break;
    }
}

/* ---- opening and closing */

static int open_tls(struct redis *redis)
{
    char error[256];
    int status = redis->options.url->tls ? redis_tls_acquire(redis->options.url, &redis->tls, error) : 0;
    if (status < 0) {
        log_error("TLS to redis cannot be set up: check IDENTIHOOK_REDIS_CA, IDENTIHOOK_REDIS_CERT and "
                  "IDENTIHOOK_REDIS_KEY",
                  LOG_STRING("error", error));
    }
    return status == -EINVAL ? -ENOTSUP : status;
}

int redis_open(uv_loop_t *loop, const struct redis_options *options, struct redis **opened)
{
    static const struct redis_pipeline_handler handler = {
        .on_open = on_open, .on_reply = on_reply, .on_ask = on_ask, .on_lost = on_lost};
    struct redis *redis = calloc(1, sizeof(*redis));
    if (!redis) {
        return -ENOMEM;
    }
    redis->loop = loop;
    redis->options = *options;
    int status = open_tls(redis);
    status = status == 0 ? redis_route_create(loop, options->url, on_found, redis, &redis->route) : status;
    if (status < 0) {
        tls_context_release(redis->tls);
        free(redis);
        return status;
    }
    redis_pipeline_init(&redis->pipeline, loop, options->call_timeout_ms, &handler, redis);
    redis_health_init(&redis->health, loop, &redis->options, &redis->pipeline, tell_state, redis);
    redis_ask_init(&redis->ask, loop, &redis->options, on_asked, redis);
    redis->greeting = (struct redis_greeting){.options = &redis->options,
                                              .pipeline = &redis->pipeline,
                                              .route = redis->route,
                                              .on_end = on_greeted,
                                              .context = redis};
    (void)uv_timer_init(loop, &redis->timer);
    redis->timer.data = redis;
    redis->holds.count = 5;
    redis->state = REDIS_WAITING;
    (void)uv_timer_start(&redis->timer, on_timer, 0, 0);
    *opened = redis;
    return 0;
}

static void put_away(void *object)
{
    struct redis *redis = object;
    tls_context_release(redis->tls);
    free(redis);
}

static void part_closed(void *context)
{
    struct redis *redis = context;
    holds_release(&redis->holds, put_away, redis);
}

static void on_timer_closed(uv_handle_t *timer)
{
    part_closed(timer->data);
}

void redis_close(struct redis *redis, void (*closed)(void *context), void *context)
{
    holds_close(&redis->holds, closed, context);
    redis->state = REDIS_CLOSING;
    redis_pipeline_disconnect(&redis->pipeline);
    redis_greeting_abandon(&redis->greeting);
    redis_health_close(&redis->health, part_closed);
    redis_pipeline_fail(&redis->pipeline);
    redis_pipeline_close(&redis->pipeline, part_closed);
    redis_ask_close(&redis->ask, part_closed);
    uv_close((uv_handle_t *)&redis->timer, on_timer_closed);
    redis_route_close(redis->route, part_closed);
}

bool redis_is_ready(const struct redis *redis)
{
    return redis->state == REDIS_READY && redis->health.trouble == REDIS_FINE;
}

enum redis_trouble redis_trouble(const struct redis *redis)
{
    return redis->health.trouble;
}

uint64_t redis_troubles_met(enum redis_trouble trouble)
{
    return redis_health_met(trouble);
}

size_t redis_calls(const struct redis *redis)
{
    return redis->pipeline.calls + redis->ask.calls;
}

size_t redis_bytes(const struct redis *redis)
{
    return redis->pipeline.bytes + redis->ask.bytes;
}
