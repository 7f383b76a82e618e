#include "net/postgres.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "postgres_private.h"

#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS 5000
#define USER_TIMEOUT_MAXIMUM_MS 5000 /* for data that nobody confirms; a cancel at the end must not take longer */

static void on_timer(uv_timer_t *timer);

static uint64_t now_ms(const struct postgres *pool)
{
    return uv_now(pool->loop);
}

/* ---- reporting */

static void report(struct postgres *pool, struct postgres_call *call, const char *error)
{
    uint64_t now = now_ms(pool);
    struct postgres_result result = {
        .outcome = POSTGRES_UNREACHABLE,
        .retry_after_ms = pool->retry_at_ms > now ? pool->retry_at_ms - now : 0,
    };
    (void)snprintf(result.error, sizeof(result.error), "%s", error);
    call->callback(call, &result);
}

/* Callbacks may start and abandon calls: what is to be reported is taken off the list first, one by one. */
static void report_waiting(struct postgres *pool, const char *error, uint64_t due_ms)
{
    size_t count = pool->waiting_count;
    while (count-- > 0) {
        struct list *first = list_first(&pool->waiting);
        struct postgres_call *call = first ? LIST_OBJECT(first, struct postgres_call, link) : NULL;
        if (!call || call->deadline_ms > due_ms) {
            return;
        }
        list_remove(first);
        pool->waiting_count--;
        report(pool, call, error);
    }
}

/* ---- connections for the calls */

static struct postgres_connection *find_idle(struct postgres *pool)
{
    LIST_EACH(&pool->connections, member, following)
    {
        struct postgres_connection *connection = LIST_OBJECT(member, struct postgres_connection, link);
        if (connection->state == POSTGRES_IDLE && connection->doom[0] == '\0') {
            return connection;
        }
    }
    return NULL;
}

static size_t count_connecting(struct postgres *pool)
{
    size_t count = 0;
    LIST_EACH(&pool->connections, member, following)
    {
        count += LIST_OBJECT(member, struct postgres_connection, link)->state <= POSTGRES_GREETING;
    }
    return count;
}

static void open_more(struct postgres *pool)
{
    size_t connecting = count_connecting(pool);
    while (connecting < pool->waiting_count && pool->connection_count < pool->options.connections &&
           now_ms(pool) >= pool->retry_at_ms && postgres_connection_open(pool)) {
        connecting++;
    }
}

void postgres_poke(struct postgres *pool)
{
    struct postgres_connection *idle;
    struct list *first;
    while ((first = list_first(&pool->waiting)) != NULL && (idle = find_idle(pool)) != NULL) {
        list_remove(first);
        pool->waiting_count--;
        postgres_connection_run(idle, LIST_OBJECT(first, struct postgres_call, link));
    }
    if (!pool->holds.closed) {
        open_more(pool);
    }
    postgres_wind(pool);
}

void postgres_connected(struct postgres *pool)
{
    if (pool->failures > 0) {
        log_info("postgres can be reached again", LOG_NUMBER("failures", pool->failures));
    }
    pool->failures = 0;
    pool->retry_at_ms = 0;
    postgres_poke(pool);
}

void postgres_connecting_failed(struct postgres *pool, const char *error)
{
    uint64_t ceiling = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < pool->failures && ceiling < BACKOFF_LAST_MS; i++) {
        ceiling *= 2;
    }
    ceiling = ceiling < BACKOFF_LAST_MS ? ceiling : BACKOFF_LAST_MS;
    pool->retry_at_ms = now_ms(pool) + ceiling / 2 + random_below(ceiling / 2 + 1);
    (void)snprintf(pool->error, sizeof(pool->error), "PostgreSQL cannot be reached: %s", error);
    if (pool->failures % 32 == 0) { /* once when it goes, and then seldom */
        log_warn("postgres cannot be reached", LOG_STRING("error", error), LOG_NUMBER("failures", pool->failures + 1));
    }
    pool->failures++;
    if (pool->connection_count == 0) { /* else others may still serve them */
        report_waiting(pool, pool->error, UINT64_MAX);
    }
    postgres_wind(pool);
}

/* ---- deadlines */

void postgres_wind(struct postgres *pool)
{
    uint64_t soonest = UINT64_MAX;
    uint64_t now = now_ms(pool);
    struct list *first = list_first(&pool->waiting);
    if (pool->holds.closed) {
        return;
    }
    if (first) {
        soonest = LIST_OBJECT(first, struct postgres_call, link)->deadline_ms;
        /* The first may be waiting for the end of the backoff, beside connections that are busy. */
        if (pool->retry_at_ms > now && pool->retry_at_ms < soonest) {
            soonest = pool->retry_at_ms;
        }
    }
    LIST_EACH(&pool->connections, member, following)
    {
        uint64_t deadline = LIST_OBJECT(member, struct postgres_connection, link)->deadline_ms;
        soonest = deadline < soonest ? deadline : soonest;
    }
    if (soonest == UINT64_MAX) {
        (void)uv_timer_stop(&pool->timer);
    } else {
        (void)uv_timer_start(&pool->timer, on_timer, soonest > now ? soonest - now : 0, 0);
    }
}

static struct postgres_connection *find_expired(struct postgres *pool)
{
    LIST_EACH(&pool->connections, member, following)
    {
        struct postgres_connection *connection = LIST_OBJECT(member, struct postgres_connection, link);
        if (connection->deadline_ms <= now_ms(pool)) {
            return connection;
        }
    }
    return NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct postgres *pool = timer->data;
    struct postgres_connection *expired;
    while (!pool->holds.closed && (expired = find_expired(pool)) != NULL) {
        postgres_connection_expire(expired);
    }
    if (!pool->holds.closed) {
        report_waiting(pool,
                       pool->connection_count > 0 ? "no connection to PostgreSQL came free in time: raise "
                                                    "IDENTIHOOK_POSTGRES_CONNECTIONS or look for slow statements"
                                                  : pool->error,
                       now_ms(pool));
    }
    if (!pool->holds.closed) {
        postgres_poke(pool);
    }
}

/* ---- calls */

int postgres_start(struct postgres *pool, struct postgres_call *call)
{
    if (pool->waiting_count >= pool->options.waiting) {
        return -ENOBUFS;
    }
    bool hopeless = pool->connection_count == 0 && now_ms(pool) < pool->retry_at_ms;
    call->connection = NULL;
    call->deadline_ms = now_ms(pool) + (hopeless ? 0 : pool->options.connect_timeout_ms);
    /* What is hopeless goes before the first: to be reported as soon as we have returned. */
    list_append(hopeless ? pool->waiting.next : &pool->waiting, &call->link);
    pool->waiting_count++;
    postgres_poke(pool);
    return 0;
}

void postgres_abandon(struct postgres *pool, struct postgres_call *call)
{
    if (call->connection) {
        postgres_connection_drop(call->connection, true);
    } else {
        list_remove(&call->link);
        pool->waiting_count--;
    }
    postgres_poke(pool);
}

int postgres_row_count(const struct postgres_result *result)
{
    return result->rows ? PQntuples(result->rows) : 0;
}

const char *postgres_value(const struct postgres_result *result, int row, int column)
{
    if (row >= postgres_row_count(result) || column >= PQnfields(result->rows) ||
        PQgetisnull(result->rows, row, column)) {
        return NULL;
    }
    return PQgetvalue(result->rows, row, column);
}

/* ---- opening and closing */

int postgres_open(uv_loop_t *loop, const struct postgres_options *options, struct postgres **opened)
{
    struct postgres *pool = calloc(1, sizeof(*pool));
    if (!pool) {
        return -ENOMEM;
    }
    int status = postgres_target_parse(options->url, &pool->target);
    if (status < 0) {
        free(pool);
        return status;
    }
    uint64_t patience =
        options->connect_timeout_ms < USER_TIMEOUT_MAXIMUM_MS ? options->connect_timeout_ms : USER_TIMEOUT_MAXIMUM_MS;
    (void)snprintf(pool->target.tcp_user_timeout, sizeof(pool->target.tcp_user_timeout), "%" PRIu64, patience);
    (void)snprintf(pool->greeting, sizeof(pool->greeting), "SET statement_timeout = %" PRIu64,
                   options->statement_timeout_ms);
    pool->target.ca_file = options->ca_file;
    pool->loop = loop;
    pool->options = *options;
    list_init(&pool->connections);
    list_init(&pool->waiting);
    (void)uv_timer_init(loop, &pool->timer);
    pool->timer.data = pool;
    pool->holds.count = 1;
    *opened = pool;
    return 0;
}

static void put_away(void *object)
{
    struct postgres *pool = object;
    postgres_target_free(&pool->target);
    free(pool);
}

void postgres_handle_closed(struct postgres *pool)
{
    holds_release(&pool->holds, put_away, pool);
}

static void on_timer_closed(uv_handle_t *handle)
{
    postgres_handle_closed(handle->data);
}

void postgres_close(struct postgres *pool, void (*closed)(void *context), void *context)
{
    static const char *const stopping = "identihook is stopping";
    struct list *first;
    holds_close(&pool->holds, closed, context);
    pool->holds.count++; /* this call itself */
    report_waiting(pool, stopping, UINT64_MAX);
    while ((first = list_first(&pool->connections)) != NULL) {
        struct postgres_connection *connection = LIST_OBJECT(first, struct postgres_connection, link);
        struct postgres_call *call = connection->call;
        struct postgres_result result = {.outcome = POSTGRES_UNKNOWN};
        (void)snprintf(result.error, sizeof(result.error), "%s", stopping);
        postgres_connection_drop(connection, true);
        if (call) {
            call->callback(call, &result);
        }
    }
    uv_close((uv_handle_t *)&pool->timer, on_timer_closed);
    postgres_handle_closed(pool);
}
