#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): for accept4() */

#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "listener_private.h"

#define BACKLOG 511
#define TICK_MAXIMUM_MS 500
#define TICK_MINIMUM_MS 10
#define ACCEPT_PAUSE_MS 200
#define ACCEPTED_AT_ONCE 64 /* then the connections that are open get their turn */

static void on_tick(uv_timer_t *timer);
static void let_in_all(struct listener *listener);

/* ---- what connections borrow */

const char *listener_date(struct listener *listener)
{
    int64_t now = clock_wall_seconds();
    if (now != listener->date_seconds) {
        listener->date_seconds = now;
        http_date(now, listener->date);
    }
    return listener->date;
}

/* A random part for this listener, and a counter: unique, and no random bytes per request. */
void listener_make_id(struct listener *listener, char id[28])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = listener->next_id++;
    char *at = id;
    memcpy(at, listener->id_prefix, 8);
    at += 8;
    *at++ = '-';
    for (int shift = 40; shift >= 0; shift -= 4) {
        *at++ = digits[(number >> shift) & 15];
    }
    *at = '\0';
}

struct pooled_request *listener_take_request(struct listener *listener)
{
    struct list *link = list_first(&listener->free_requests);
    if (!link) {
        return calloc(1, sizeof(struct pooled_request));
    }
    list_remove(link);
    return LIST_OBJECT(link, struct pooled_request, link);
}

void listener_give_back(struct listener *listener, struct pooled_request *request)
{
    size_t kept = request->request.head.capacity + request->request.collected.capacity;
    bool one_is_kept = list_first(&listener->free_requests) != NULL;
    if (listener->closing || one_is_kept || kept > LISTENER_BUFFER_SIZE) {
        http_request_free(&request->request);
        free(request);
        return;
    }
    http_request_reset(&request->request);
    list_append(&listener->free_requests, &request->link);
}

/* ---- ending */

static void maybe_drained(struct listener *listener)
{
    if (listener->draining && listener->open == 0 && listener->drained) {
        void (*drained)(void *) = listener->drained;
        listener->drained = NULL;
        drained(listener->drained_context);
    }
}

static void maybe_closed(struct listener *listener)
{
    if (!listener->closing || listener->open > 0 || listener->open_handles > 0) {
        return;
    }
    LIST_EACH(&listener->free_requests, link, following)
    {
        struct pooled_request *request = LIST_OBJECT(link, struct pooled_request, link);
        http_request_free(&request->request);
        free(request);
    }
    buffer_free(&listener->scratch);
    tls_context_release(listener->options.tls);
    free(listener->plain);
    void (*closed)(void *) = listener->closed;
    void *context = listener->closed_context;
    free(listener);
    closed(context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    listener->open_handles--;
    maybe_closed(listener);
}

static void stop_accepting(struct listener *listener)
{
    if (listener->socket >= 0) {
        uv_close((uv_handle_t *)&listener->arrivals, on_handle_closed);
        (void)close(listener->socket);
        listener->socket = -1;
    }
}

static void each_conn(struct listener *listener, void (*visit)(struct conn *conn))
{
    for (enum conn_stage stage = 0; stage < CONN_CLOSED; stage++) {
        LIST_EACH(&listener->stages[stage], link, following)
        {
            visit(LIST_OBJECT(link, struct conn, link));
        }
    }
}

void listener_drain(struct listener *listener, uint64_t timeout_ms, void (*drained)(void *context), void *context)
{
    listener->draining = true;
    listener->drained = drained;
    listener->drained_context = context;
    listener->drain_deadline_ms = uv_now(listener->loop) + timeout_ms;
    let_in_all(listener);
    stop_accepting(listener);
    if (listener->stage_timeouts[CONN_NEW] > listener->options.linger_timeout_ms) {
        listener->stage_timeouts[CONN_NEW] = listener->options.linger_timeout_ms;
    }
    each_conn(listener, conn_drain);
    /* With the tick, so that `drained` never runs inside this call. */
    (void)uv_timer_start(&listener->tick, on_tick, 0, TICK_MINIMUM_MS);
}

void listener_close(struct listener *listener, void (*closed)(void *context), void *context)
{
    listener->closing = true;
    listener->drained = NULL;
    listener->closed = closed;
    listener->closed_context = context;
    stop_accepting(listener);
    uv_close((uv_handle_t *)&listener->tick, on_handle_closed);
    uv_close((uv_handle_t *)&listener->pause, on_handle_closed);
    each_conn(listener, conn_cut);
}

/* ---- deadlines */

static void expire_stage(struct listener *listener, enum conn_stage stage, uint64_t now)
{
    LIST_EACH(&listener->stages[stage], link, following)
    {
        struct conn *conn = LIST_OBJECT(link, struct conn, link);
        if (conn->deadline_ms > now) {
            return;
        }
        conn_expire(conn);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    uint64_t now = uv_now(listener->loop);
    if (listener->draining && now >= listener->drain_deadline_ms) {
        each_conn(listener, conn_cut);
    }
    for (enum conn_stage stage = 0; stage < CONN_CLOSED; stage++) {
        if (stage != CONN_WAITING) {
            expire_stage(listener, stage, now);
        }
    }
    if (listener->open == 0) {
        (void)uv_timer_stop(&listener->tick);
        maybe_drained(listener);
    }
}

static uint64_t tick_interval(const struct listener_options *options)
{
    uint64_t shortest = options->header_timeout_ms;
    shortest = options->request_timeout_ms < shortest ? options->request_timeout_ms : shortest;
    shortest = options->idle_timeout_ms < shortest ? options->idle_timeout_ms : shortest;
    uint64_t interval = shortest / 8;
    return interval < TICK_MINIMUM_MS ? TICK_MINIMUM_MS : interval > TICK_MAXIMUM_MS ? TICK_MAXIMUM_MS : interval;
}

/* ---- accepting */

/* Counts the connection by its client's address, where that is limited. */
static bool is_within_limit(struct listener *listener, struct conn *conn)
{
    struct sockaddr_storage peer;
    int length = sizeof(peer);
    if (!listener->options.addresses) {
        return true;
    }
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&peer, &length) < 0) {
        return false;
    }
    conn->address = address_table_enter(listener->options.addresses, (struct sockaddr *)&peer);
    return conn->address != NULL;
}

static void take_in(struct listener *listener, int descriptor)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        listener_count(&listener->counters.accept_failures, 1);
        (void)close(descriptor);
        return;
    }
    conn->listener = listener;
    (void)uv_tcp_init(listener->loop, &conn->tcp);
    conn->tcp.data = conn;
    listener->open++;
    atomic_store_explicit(&listener->counters.open, listener->open, memory_order_relaxed);
    if (!uv_is_active((uv_handle_t *)&listener->tick)) {
        uint64_t interval = tick_interval(&listener->options);
        (void)uv_timer_start(&listener->tick, on_tick, interval, interval);
    }
    if (uv_tcp_open(&conn->tcp, descriptor) < 0) {
        listener_count(&listener->counters.accept_failures, 1);
        (void)close(descriptor);
        conn_cut(conn);
        return;
    }
    if (!is_within_limit(listener, conn)) {
        listener_count(&listener->counters.turned_away, 1);
        conn_cut(conn);
        return;
    }
    listener_count(&listener->counters.accepted, 1);
    conn_begin(conn);
}

/* Accepts up to `most` of those who wait. 0, or the negative code that stopped it. */
static int let_in(struct listener *listener, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        int descriptor = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0) {
            take_in(listener, descriptor);
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return -errno;
        }
    }
    return 0;
}

static void on_arrivals(uv_poll_t *arrivals, int status, int events);

/* Lets clients in, or in again, if there is room. */
static void resume_accepting(struct listener *listener)
{
    bool full = listener->open >= listener->options.max_connections;
    bool busy = uv_is_active((uv_handle_t *)&listener->arrivals) || uv_is_active((uv_handle_t *)&listener->pause);
    if (listener->socket >= 0 && !listener->options.waits && !full && !busy) {
        (void)uv_poll_start(&listener->arrivals, UV_READABLE, on_arrivals);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    resume_accepting(timer->data);
}

/* Accepting failed, mostly for want of descriptors: at once it would fail again. */
static void pause_accepting(struct listener *listener, int status)
{
    static struct log_limit limit;
    uint64_t suppressed;
    listener_count(&listener->counters.accept_failures, 1);
    if (log_limit_pass(&limit, 10000, &suppressed)) {
        log_error("connections cannot be accepted: raise the limit of open files",
                  LOG_STRING("error", uv_strerror(status)), LOG_NUMBER("open", listener->open),
                  LOG_NUMBER("suppressed", suppressed));
    }
    (void)uv_poll_stop(&listener->arrivals);
    (void)uv_timer_start(&listener->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

/*
 * Clients are accepted here and not by libuv, which drops those who wait when descriptors run out, without a word. Who
 * is not let in now waits in the kernel's queue.
 */
static void on_arrivals(uv_poll_t *arrivals, int status, int events)
{
    struct listener *listener = arrivals->data;
    (void)events;
    if (status < 0) {
        pause_accepting(listener, status);
        return;
    }
    size_t room = listener->options.max_connections - listener->open;
    status = let_in(listener, room < ACCEPTED_AT_ONCE ? room : ACCEPTED_AT_ONCE);
    if (status < 0) {
        pause_accepting(listener, status);
    } else if (listener->open >= listener->options.max_connections) {
        (void)uv_poll_stop(arrivals);
    }
}

/* The last moment before the socket goes, and with it whom the kernel has greeted for us already. An inherited one
 * stays. */
static void let_in_all(struct listener *listener)
{
    if (listener->socket >= 0 && listener->options.inherited < 0) {
        (void)let_in(listener, BACKLOG);
    }
}

void listener_forget(struct listener *listener, struct conn *conn)
{
    list_remove(&conn->link);
    address_table_leave(listener->options.addresses, conn->address);
    free(conn);
    listener->open--;
    atomic_store_explicit(&listener->counters.open, listener->open, memory_order_relaxed);
    (void)uv_timer_stop(&listener->pause); /* now there is a descriptor */
    resume_accepting(listener);
    maybe_drained(listener);
    maybe_closed(listener);
}

/* ---- opening */

static int make_address(const struct endpoint *endpoint, struct sockaddr_storage *address)
{
    if (strchr(endpoint->host, ':')) {
        return uv_ip6_addr(endpoint->host, endpoint->port, (struct sockaddr_in6 *)address);
    }
    return uv_ip4_addr(endpoint->host, endpoint->port, (struct sockaddr_in *)address);
}

/* Lets others of this process listen at the same port. Set before bind() by those who join, and after it by the first
 * one: then bind() fails when another process has the port, which would otherwise take part of its clients unnoticed.
 */
static int share_port(int descriptor)
{
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* libuv 1.44 cannot set SO_REUSEPORT, so the socket is made here. */
static int open_socket(const struct endpoint *endpoint, bool joins)
{
    struct sockaddr_storage address = {0};
    int status = make_address(endpoint, &address);
    if (status < 0) {
        return status;
    }
    int descriptor = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return -errno;
    }
    int on = 1;
    socklen_t length = address.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (joins && share_port(descriptor) < 0) || bind(descriptor, (struct sockaddr *)&address, length) < 0 ||
        (!joins && share_port(descriptor) < 0)) {
        status = -errno;
        (void)close(descriptor);
        return status;
    }
    return descriptor;
}

/* Where it really listens: at a port of the system's choice, or as inherited. */
static void read_endpoint(int descriptor, struct endpoint *endpoint)
{
    union {
        struct sockaddr_in6 six;
        struct sockaddr_in four;
        struct sockaddr any;
    } address = {0};
    socklen_t length = sizeof(address);
    if (getsockname(descriptor, &address.any, &length) == 0) {
        endpoint->port = ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
        (void)uv_ip_name(&address.any, endpoint->host, sizeof(endpoint->host));
    }
}

static int open_listening(const struct listener *listener)
{
    if (listener->options.inherited >= 0) {
        int copy = fcntl(listener->options.inherited, F_DUPFD_CLOEXEC, 0);
        return copy < 0 ? -errno : copy;
    }
    int descriptor = open_socket(&listener->endpoint, listener->options.joins_port);
    if (descriptor >= 0 && listen(descriptor, BACKLOG) < 0) {
        int status = -errno;
        (void)close(descriptor);
        return status;
    }
    return descriptor;
}

static int start_listening(struct listener *listener)
{
    int descriptor = open_listening(listener);
    if (descriptor < 0) {
        return descriptor;
    }
    int status = uv_poll_init(listener->loop, &listener->arrivals, descriptor);
    if (status < 0) {
        (void)close(descriptor);
        return status;
    }
    listener->socket = descriptor;
    listener->arrivals.data = listener;
    listener->open_handles++;
    read_endpoint(descriptor, &listener->endpoint);
    resume_accepting(listener);
    return 0;
}

void listener_begin(struct listener *listener)
{
    listener->options.waits = false;
    resume_accepting(listener);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void init(struct listener *listener, uv_loop_t *loop, const struct listener_options *options)
{
    listener->socket = -1;
    listener->loop = loop;
    listener->options = *options;
    for (enum conn_stage stage = 0; stage < CONN_STAGES; stage++) {
        list_init(&listener->stages[stage]);
    }
    listener->stage_timeouts[CONN_HANDSHAKE] = options->header_timeout_ms;
    listener->stage_timeouts[CONN_NEW] = least(options->header_timeout_ms, options->idle_timeout_ms);
    listener->stage_timeouts[CONN_IDLE] = options->idle_timeout_ms;
    listener->stage_timeouts[CONN_HEAD] = least(options->header_timeout_ms, options->request_timeout_ms);
    listener->stage_timeouts[CONN_BODY] = options->request_timeout_ms;
    listener->stage_timeouts[CONN_WRITING] = options->request_timeout_ms;
    listener->stage_timeouts[CONN_LEAVING] = options->linger_timeout_ms;
    list_init(&listener->free_requests);
    random_hex(listener->id_prefix, 8);
    (void)uv_timer_init(loop, &listener->tick);
    (void)uv_timer_init(loop, &listener->pause);
    listener->tick.data = listener;
    listener->pause.data = listener;
    listener->open_handles = 2;
}

static void ignore(void *context)
{
    (void)context;
}

int listener_open(uv_loop_t *loop, const struct endpoint *endpoint, const struct listener_options *options,
                  struct listener **opened)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        return -ENOMEM;
    }
    init(listener, loop, options);
    listener->endpoint = *endpoint;
    listener->options.tls = tls_context_hold(options->tls);
    listener->plain = options->tls ? malloc(PLAIN_BUFFER_SIZE) : NULL;
    int status = options->tls && !listener->plain ? -ENOMEM : start_listening(listener);
    if (status < 0) {
        listener_close(listener, ignore, NULL);
        return status;
    }
    *opened = listener;
    return 0;
}

void listener_set_tls(struct listener *listener, struct tls_context *tls)
{
    tls_context_release(listener->options.tls);
    listener->options.tls = tls_context_hold(tls);
}

struct endpoint listener_endpoint(const struct listener *listener)
{
    return listener->endpoint;
}

const struct listener_counters *listener_counters(const struct listener *listener)
{
    return &listener->counters;
}
