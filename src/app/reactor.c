#include "app/reactor.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "app/backlog_watch.h"
#include "app/intake.h"
#include "app/pages.h"
#include "app/queue_options.h"
#include "app/reconciler.h"
#include "app/reply.h"
#include "app/router.h"
#include "app/session_desk.h"
#include "app/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/queue.h"

#define HEARTBEAT_MS 500

struct reactor {
    struct reactor_options options;
    char name[64];
    uv_loop_t loop;
    uv_thread_t thread;
    bool started;
    uv_async_t wake; /* a request from another thread: one of the next four */
    atomic_bool stop_wanted;
    _Atomic(struct signature_keys *) new_keys;
    _Atomic(struct token_keys *) new_token_keys;
    _Atomic(struct tls_context *) new_tls; /* held */
    uv_timer_t heartbeat;
    uint64_t opened_ns;
    uint64_t last_beat_ns;
    struct telemetry telemetry;
    struct queue *queue;
    struct replies *replies;
    struct intake *intake;
    struct router *router;
    struct session_desk *desk; /* NULL: no sessions are created here */
    struct pages *pages;       /* likewise */
    struct listener *listener;
    struct worker *worker;
    struct reconciler *reconciler; /* in the first loop that works */
    struct backlog_watch *backlog; /* in the first loop */
    bool stopping;
    int open_parts; /* while stopping: the listener, the worker, the reconciler and the watch */
};

/* ---- stopping: the listener and the worker side by side, then the queue, then the handles */

static void on_queue_closed(void *context)
{
    struct reactor *reactor = context;
    reactor->queue = NULL;
    telemetry_set(&reactor->telemetry.heartbeat_ms, 0);
    uv_close((uv_handle_t *)&reactor->heartbeat, NULL);
    uv_close((uv_handle_t *)&reactor->wake, NULL);
}

static void part_ended(struct reactor *reactor)
{
    if (--reactor->open_parts == 0 && reactor->queue) {
        queue_close(reactor->queue, on_queue_closed, reactor);
    }
}

static void on_desk_closed(void *context)
{
    part_ended(context);
}

/* After the listener: nobody asks any more. */
static void close_desk(struct reactor *reactor)
{
    struct session_desk *desk = reactor->desk;
    reactor->desk = NULL;
    if (desk) {
        session_desk_close(desk, on_desk_closed, reactor);
    } else {
        part_ended(reactor);
    }
}

static void on_listener_closed(void *context)
{
    struct reactor *reactor = context;
    reactor->listener = NULL;
    close_desk(reactor);
}

static void on_drained(void *context)
{
    struct reactor *reactor = context;
    listener_close(reactor->listener, on_listener_closed, reactor);
}

static void on_worker_stopped(void *context)
{
    struct reactor *reactor = context;
    reactor->worker = NULL;
    part_ended(reactor);
}

static void on_reconciler_closed(void *context)
{
    struct reactor *reactor = context;
    part_ended(reactor);
}

static void on_backlog_closed(void *context)
{
    struct reactor *reactor = context;
    part_ended(reactor);
}

static void stop(struct reactor *reactor)
{
    if (reactor->stopping) {
        return;
    }
    reactor->stopping = true;
    uint64_t timeout = reactor->options.settings->shutdown_timeout_ms;
    reactor->open_parts = 2; /* this call itself, and the listener with its desk */
    if (reactor->listener) {
        listener_drain(reactor->listener, timeout, on_drained, reactor);
    } else {
        close_desk(reactor);
    }
    if (reactor->worker) {
        reactor->open_parts++;
        worker_stop(reactor->worker, timeout, on_worker_stopped, reactor);
    }
    if (reactor->reconciler) {
        reactor->open_parts++;
        reconciler_close(reactor->reconciler, on_reconciler_closed, reactor);
        reactor->reconciler = NULL;
    }
    if (reactor->backlog) {
        reactor->open_parts++;
        backlog_watch_close(reactor->backlog, on_backlog_closed, reactor);
        reactor->backlog = NULL;
    }
    part_ended(reactor);
}

static void on_wake(uv_async_t *wake)
{
    struct reactor *reactor = wake->data;
    struct signature_keys *keys = atomic_exchange(&reactor->new_keys, NULL);
    if (keys && reactor->intake) {
        intake_set_keys(reactor->intake, keys);
    } else {
        signature_keys_free(keys);
    }
    struct token_keys *token_keys = atomic_exchange(&reactor->new_token_keys, NULL);
    if (token_keys && reactor->desk) {
        session_desk_set_keys(reactor->desk, token_keys);
    } else {
        token_keys_free(token_keys);
    }
    struct tls_context *tls = atomic_exchange(&reactor->new_tls, NULL);
    if (tls && reactor->listener) {
        listener_set_tls(reactor->listener, tls);
    }
    tls_context_release(tls);
    if (atomic_load(&reactor->stop_wanted)) {
        stop(reactor);
    }
}

/* ---- running */

static void on_heartbeat(uv_timer_t *timer)
{
    struct reactor *reactor = timer->data;
    uint64_t now = clock_monotonic_ns();
    uint64_t expected = reactor->last_beat_ns + HEARTBEAT_MS * UINT64_C(1000000);
    telemetry_set(&reactor->telemetry.lag_ns, reactor->last_beat_ns && now > expected ? now - expected : 0);
    telemetry_set(&reactor->telemetry.heartbeat_ms, now / 1000000);
    if (reactor->queue) {
        telemetry_set(&reactor->telemetry.redis_trouble, queue_trouble(reactor->queue));
        telemetry_set(&reactor->telemetry.durability, queue_durability(reactor->queue));
    }
    telemetry_set(&reactor->telemetry.redis_connections, reactor->queue ? queue_ready_lanes(reactor->queue) : 0);
    reactor->last_beat_ns = now;
    if (reactor->listener && now > reactor->opened_ns + reactor->options.settings->enqueue_timeout_ms * 1000000) {
        listener_begin(reactor->listener); /* Redis is away: its clients are to hear that */
    }
}

static void on_queue_state(void *context, bool ready)
{
    struct reactor *reactor = context;
    telemetry_set(&reactor->telemetry.redis_trouble, queue_trouble(reactor->queue));
    telemetry_set(&reactor->telemetry.durability, queue_durability(reactor->queue));
    if (ready && reactor->listener) {
        listener_begin(reactor->listener);
    }
    if (ready && reactor->worker) {
        worker_resume(reactor->worker);
    }
    if (reactor->reconciler) {
        reconciler_redis(reactor->reconciler, ready);
    }
    if (ready && reactor->backlog) {
        backlog_watch_ask(reactor->backlog);
    }
}

static void run(void *context)
{
    struct reactor *reactor = context;
    (void)uv_run(&reactor->loop, UV_RUN_DEFAULT);
}

int reactor_start(struct reactor *reactor)
{
    int status = uv_thread_create(&reactor->thread, run, reactor);
    reactor->started = status == 0;
    return status;
}

void reactor_stop(struct reactor *reactor)
{
    atomic_store(&reactor->stop_wanted, true);
    (void)uv_async_send(&reactor->wake);
}

void reactor_set_keys(struct reactor *reactor, struct signature_keys *keys)
{
    /* Keys that were to come, but were not fetched yet, are outdated. */
    signature_keys_free(atomic_exchange(&reactor->new_keys, keys));
    (void)uv_async_send(&reactor->wake);
}

void reactor_set_token_keys(struct reactor *reactor, struct token_keys *keys)
{
    token_keys_free(atomic_exchange(&reactor->new_token_keys, keys));
    (void)uv_async_send(&reactor->wake);
}

void reactor_set_tls(struct reactor *reactor, struct tls_context *tls)
{
    tls_context_release(atomic_exchange(&reactor->new_tls, tls_context_hold(tls)));
    (void)uv_async_send(&reactor->wake);
}

void reactor_wait(struct reactor *reactor)
{
    if (reactor->started) {
        (void)uv_thread_join(&reactor->thread);
    }
}

void reactor_free(struct reactor *reactor)
{
    if (!reactor) {
        return;
    }
    if (!reactor->started) {
        stop(reactor);
        run(reactor);
    }
    router_free(reactor->router);
    pages_free(reactor->pages);
    intake_free(reactor->intake);
    replies_free(reactor->replies);
    signature_keys_free(atomic_load(&reactor->new_keys));
    token_keys_free(atomic_load(&reactor->new_token_keys));
    tls_context_release(atomic_load(&reactor->new_tls));
    if (uv_loop_close(&reactor->loop) < 0) {
        log_error("a loop was left with open handles", LOG_NUMBER("loop", reactor->options.number));
    }
    free(reactor);
}

/* ---- opening */

/* This loop's share of what all of them together may have. */
static size_t share(const struct settings *settings, uint64_t total)
{
    return (size_t)((total + settings->loops - 1) / settings->loops);
}

static int open_queue(struct reactor *reactor)
{
    const struct settings *settings = reactor->options.settings;
    struct queue_options options = queue_options_of(settings, reactor->name);
    options.durability = reactor->options.ingests ? settings->durability : DURABILITY_MEMORY;
    options.replicas = (unsigned)settings->durability_replicas;
    options.require_durable = settings->require_durable != 0;
    options.tells_durability = true;
    options.max_calls = share(settings, settings->max_in_flight);
    options.max_bytes = share(settings, settings->max_in_flight_bytes);
    options.lanes = reactor->options.ingests ? (size_t)settings->redis_connections : 1;
    options.on_state = on_queue_state;
    options.context = reactor;
    return queue_open(&reactor->loop, &options, &reactor->queue);
}

/* A loop's part; at least what one request of the largest size needs, whose memory doubles as it grows. */
static size_t share_of_arriving(const struct settings *settings)
{
    size_t least = 2 * (size_t)(settings->max_body + settings->max_header_bytes);
    size_t part = share(settings, settings->max_arriving_bytes);
    return part > least ? part : least;
}

static int open_desk(struct reactor *reactor)
{
    struct session_desk_options options = {
        .settings = reactor->options.settings, .queue = reactor->queue, .replies = reactor->replies};
    int status = session_desk_open(&reactor->loop, &options, &reactor->desk);
    status = status == 0 ? pages_create(reactor->options.settings, reactor->replies, &reactor->pages) : status;
    if (status == 0) {
        session_desk_add_routes(reactor->desk, reactor->router);
        pages_add_routes(reactor->pages, reactor->router);
    }
    return status;
}

/* The intake comes first, which takes the keys. */
static int open_routes(struct reactor *reactor)
{
    int status = replies_create(reactor->options.settings, &reactor->telemetry, &reactor->replies);
    if (status < 0) {
        return status;
    }
    struct intake_options options = {
        .settings = reactor->options.settings,
        .queue = reactor->queue,
        .telemetry = &reactor->telemetry,
        .replies = reactor->replies,
        .keys = reactor->options.keys,
    };
    reactor->options.keys = NULL;
    status = intake_create(&options, &reactor->intake);
    status = status == 0 ? router_create(reactor->replies, &reactor->router) : status;
    if (status < 0) {
        return status;
    }
    struct route route = intake_route(reactor->intake);
    router_add(reactor->router, &route);
    return session_desk_is_wanted(reactor->options.settings) ? open_desk(reactor) : 0;
}

static int open_ingest(struct reactor *reactor)
{
    const struct settings *settings = reactor->options.settings;
    int status = open_routes(reactor);
    if (status < 0) {
        return status;
    }
    struct listener_options options = {
        .limits = {.header_bytes = (size_t)settings->max_header_bytes,
                   .headers = (size_t)settings->max_headers,
                   .url = (size_t)settings->max_url,
                   .body = (size_t)settings->max_body},
        .header_timeout_ms = settings->header_timeout_ms,
        .request_timeout_ms = settings->request_timeout_ms,
        .idle_timeout_ms = settings->idle_timeout_ms,
        .linger_timeout_ms = settings->linger_timeout_ms,
        .max_connections = share(settings, settings->max_connections),
        .addresses = reactor->options.addresses,
        .max_requests = settings->max_requests_per_connection,
        .max_pipelined = (size_t)settings->max_pipelined,
        .max_held = share_of_arriving(settings),
        .joins_port = reactor->options.number > 0,
        .inherited = reactor->options.inherited,
        .waits = reactor->options.inherited >= 0,
        .tls = reactor->options.tls,
        .handler = &router_handler,
        .context = reactor->router,
    };
    return listener_open(&reactor->loop, reactor->options.endpoint, &options, &reactor->listener);
}

static int open_work(struct reactor *reactor)
{
    struct worker_options options = {
        .settings = reactor->options.settings,
        .queue = reactor->queue,
        .mailer = reactor->options.mailer,
        .writer = reactor->options.writer,
        .telemetry = &reactor->telemetry,
        .loop = reactor->options.number,
        .concurrency = reactor->options.concurrency,
    };
    return worker_open(&reactor->loop, &options, &reactor->worker);
}

static int open_reconciler(struct reactor *reactor)
{
    struct reconciler_options options = {
        .settings = reactor->options.settings, .queue = reactor->queue, .telemetry = &reactor->telemetry};
    return reconciler_open(&reactor->loop, &options, &reactor->reconciler);
}

static int open_parts(struct reactor *reactor)
{
    int status = open_queue(reactor);
    if (status == 0 && reactor->options.ingests) {
        status = open_ingest(reactor);
        if (status < 0) {
            log_error("the webhook listener cannot be opened: is the port in use?",
                      LOG_STRING("address", reactor->options.endpoint->host),
                      LOG_NUMBER("port", reactor->options.endpoint->port), LOG_STRING("error", uv_strerror(status)));
        }
    }
    if (status == 0 && reactor->options.works && reactor->options.concurrency > 0) {
        status = open_work(reactor);
    }
    if (status == 0 && reactor->options.works && reactor->options.number == 0 &&
        reactor->options.settings->reconcile_every_ms > 0) {
        status = open_reconciler(reactor);
    }
    if (status == 0 && reactor->options.number == 0) {
        status = backlog_watch_open(&reactor->loop, reactor->queue, &reactor->telemetry, &reactor->backlog);
    }
    return status;
}

int reactor_open(const struct reactor_options *options, struct reactor **opened)
{
    struct reactor *reactor = calloc(1, sizeof(*reactor));
    if (!reactor) {
        signature_keys_free(options->keys);
        return -ENOMEM;
    }
    reactor->options = *options;
    reactor->opened_ns = clock_monotonic_ns();
    telemetry_set(&reactor->telemetry.redis_trouble, REDIS_AWAY);
    (void)snprintf(reactor->name, sizeof(reactor->name), "identihook-%u", options->number);
    int status = uv_loop_init(&reactor->loop);
    if (status < 0) {
        signature_keys_free(options->keys);
        free(reactor);
        return status;
    }
    (void)uv_async_init(&reactor->loop, &reactor->wake, on_wake);
    (void)uv_timer_init(&reactor->loop, &reactor->heartbeat);
    reactor->wake.data = reactor;
    reactor->heartbeat.data = reactor;
    (void)uv_timer_start(&reactor->heartbeat, on_heartbeat, 0, HEARTBEAT_MS);
    status = open_parts(reactor);
    if (status < 0) {
        signature_keys_free(reactor->options.keys);
        if (!reactor->queue) {
            on_queue_closed(reactor);
        }
        reactor_free(reactor);
        return status;
    }
    *opened = reactor;
    return 0;
}

struct endpoint reactor_endpoint(const struct reactor *reactor)
{
    return listener_endpoint(reactor->listener);
}

const struct telemetry *reactor_telemetry(const struct reactor *reactor)
{
    return &reactor->telemetry;
}

const struct listener_counters *reactor_counters(const struct reactor *reactor)
{
    return reactor->listener ? listener_counters(reactor->listener) : NULL;
}
