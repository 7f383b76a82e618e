/*
 * One connection to PostgreSQL.
 *
 * Happy path: resolve → connect → greet → idle; then for each call prepare, unless that was done before, → execute →
 * report → idle.
 *
 * Failure modes: whatever fails before it is idle for the first time is told to the pool. Later, a connection whose
 * socket fails, that is silent until its deadline, or that a statement leaves inside a transaction is closed; the call
 * that it had is reported first. What cannot even be sent dooms the connection: it goes when the timer looks.
 */

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "postgres_private.h"

#define ADDRESSES_MAXIMUM 16
#define PATIENCE_MS 2000 /* beyond the statement's timeout, which the server keeps */

/* ---- the socket. libpq opens and closes it, and may do so inside PQconnectPoll(): it is not polled meanwhile. */

struct postgres_watch {
    uv_poll_t poll;
    int fd;
    struct postgres *pool;
    struct postgres_connection *connection; /* NULL: given up */
};

static void continue_connecting(struct postgres_connection *connection);
static void exchange(struct postgres_connection *connection);
static void execute(struct postgres_connection *connection);

static void on_watch_closed(uv_handle_t *handle)
{
    struct postgres_watch *watch = handle->data;
    struct postgres *pool = watch->pool;
    free(watch);
    postgres_handle_closed(pool);
}

static void stop_watching(struct postgres_connection *connection)
{
    if (connection->watch) {
        connection->watch->connection = NULL;
        uv_close((uv_handle_t *)&connection->watch->poll, on_watch_closed); /* stops polling at once */
        connection->watch = NULL;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct postgres_watch *watch = poll->data;
    (void)status; /* an error has stopped the polling: libpq will find it on the socket */
    (void)events; /* libpq tries both */
    if (watch->connection->state == POSTGRES_CONNECTING) {
        continue_connecting(watch->connection);
    } else {
        exchange(watch->connection);
    }
}

static int make_watch(struct postgres_connection *connection, int fd)
{
    struct postgres_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    int status = uv_poll_init(connection->pool->loop, &watch->poll, fd);
    if (status < 0) {
        free(watch);
        return status;
    }
    watch->poll.data = watch;
    watch->fd = fd;
    watch->pool = connection->pool;
    watch->connection = connection;
    connection->watch = watch;
    connection->pool->holds.count++;
    return 0;
}

/* It is given up when the timer looks: this is not the place to report. Until then nothing is read of it: libpq, which
 * could not even send, would have nothing to wait for, and an answer that is none be taken for one. */
static void doom(struct postgres_connection *connection, const char *why)
{
    stop_watching(connection);
    (void)snprintf(connection->doom, sizeof(connection->doom), "%s", why);
    connection->deadline_ms = 0;
    postgres_wind(connection->pool);
}

static void watch_for(struct postgres_connection *connection, int events)
{
    int fd = PQsocket(connection->pq);
    if (connection->watch && connection->watch->fd != fd) {
        stop_watching(connection);
    }
    int status = connection->watch ? 0 : make_watch(connection, fd);
    if (status == 0) {
        status = uv_poll_start(&connection->watch->poll, events, on_poll);
    }
    if (status < 0) {
        doom(connection, "its socket cannot be polled");
    }
}

/* ---- giving up */

struct cancel {
    uv_work_t work;
    struct postgres *pool;
    PGcancel *cancel;
};

static void cancel_at_server(uv_work_t *work)
{
    struct cancel *cancel = work->data;
    char ignored[256];
    (void)PQcancel(cancel->cancel, ignored, sizeof(ignored)); /* blocks, for a connection of its own */
}

static void on_canceled(uv_work_t *work, int status)
{
    struct cancel *cancel = work->data;
    struct postgres *pool = cancel->pool;
    (void)status;
    PQfreeCancel(cancel->cancel);
    free(cancel);
    postgres_handle_closed(pool);
}

/* Without it the server would go on, and hold its locks, until it has something to say. */
static void cancel_statement(struct postgres_connection *connection)
{
    struct cancel *cancel = calloc(1, sizeof(*cancel));
    PGcancel *handle = cancel ? PQgetCancel(connection->pq) : NULL;
    if (!handle) {
        free(cancel);
        return;
    }
    cancel->work.data = cancel;
    cancel->pool = connection->pool;
    cancel->cancel = handle;
    if (uv_queue_work(connection->pool->loop, &cancel->work, cancel_at_server, on_canceled) < 0) {
        PQfreeCancel(handle);
        free(cancel);
        return;
    }
    connection->pool->holds.count++;
}

static void clear_results(struct postgres_connection *connection)
{
    PQclear(connection->rows);
    PQclear(connection->fault);
    connection->rows = NULL;
    connection->fault = NULL;
}

struct postgres_lookup {
    uv_getaddrinfo_t request;
    struct postgres *pool;
    struct postgres_connection *connection; /* NULL: given up */
};

void postgres_connection_drop(struct postgres_connection *connection, bool cancel)
{
    struct postgres *pool = connection->pool;
    if (cancel && connection->call) {
        cancel_statement(connection);
    }
    if (connection->call) {
        connection->call->connection = NULL;
    }
    if (connection->lookup) {
        connection->lookup->connection = NULL;
        (void)uv_cancel((uv_req_t *)&connection->lookup->request);
    }
    stop_watching(connection);
    clear_results(connection);
    PQfinish(connection->pq);
    postgres_places_clear(&connection->places);
    list_remove(&connection->link);
    pool->connection_count--;
    free(connection);
}

static bool is_connecting(const struct postgres_connection *connection)
{
    return connection->state <= POSTGRES_GREETING;
}

/* Closes it and reports. `why` may be its own doom. */
static void give_up(struct postgres_connection *connection, const char *why)
{
    struct postgres *pool = connection->pool;
    struct postgres_call *call = connection->call;
    bool connecting = is_connecting(connection);
    struct postgres_result result = {.outcome = connection->state == POSTGRES_EXECUTING ? POSTGRES_UNKNOWN
                                                                                        : POSTGRES_UNREACHABLE};
    (void)snprintf(result.error, sizeof(result.error), "%s", why);
    postgres_connection_drop(connection, false);
    if (connecting) {
        postgres_connecting_failed(pool, result.error);
        return;
    }
    log_warn("postgres connection lost", LOG_STRING("why", result.error));
    if (call) {
        call->callback(call, &result);
    }
    postgres_poke(pool);
}

/* libpq has met an error on the socket. */
static void give_up_lost(struct postgres_connection *connection)
{
    char message[300];
    postgres_target_message(&connection->pool->target, connection->pq, message);
    give_up(connection, message);
}

void postgres_connection_expire(struct postgres_connection *connection)
{
    give_up(connection, connection->doom[0] != '\0' ? connection->doom : "the server did not answer in time");
}

/* ---- resolving: one host after the other */

static void start_connecting(struct postgres_connection *connection);
static void resolve_next(struct postgres_connection *connection);

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct postgres_lookup *lookup = request->data;
    struct postgres_connection *connection = lookup->connection;
    struct postgres *pool = lookup->pool;
    free(lookup);
    if (connection) {
        struct text host = text_cut(&connection->hosts, ',');
        struct text port = text_cut(&connection->ports, ',');
        char numeric[NI_MAXHOST];
        connection->lookup = NULL;
        for (struct addrinfo *each = status == 0 ? addresses : NULL; each; each = each->ai_next) {
            if (connection->places.count < ADDRESSES_MAXIMUM &&
                getnameinfo(each->ai_addr, each->ai_addrlen, numeric, sizeof(numeric), NULL, 0, NI_NUMERICHOST) == 0) {
                postgres_places_add(&connection->places, host, text_of(numeric), port);
            }
        }
        resolve_next(connection);
    }
    uv_freeaddrinfo(addresses);
    postgres_handle_closed(pool);
}

static int look_up(struct postgres_connection *connection, struct text host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct postgres_lookup *lookup = calloc(1, sizeof(*lookup));
    char *name = text_copy(host);
    int status = lookup && name ? 0 : -ENOMEM;
    if (status == 0) {
        lookup->request.data = lookup;
        lookup->pool = connection->pool;
        lookup->connection = connection;
        status = uv_getaddrinfo(connection->pool->loop, &lookup->request, on_lookup, name, NULL, &hints);
    }
    free(name);
    if (status < 0) {
        free(lookup);
        return status;
    }
    connection->lookup = lookup;
    connection->pool->holds.count++;
    return 0;
}

/* One port may stand for all hosts. */
static void keep_port(struct postgres_connection *connection)
{
    if (!connection->ports.data) {
        const char *ports = postgres_target_value(&connection->pool->target, "port");
        connection->ports = text_of(ports && !strchr(ports, ',') ? ports : "");
    }
}

static void resolve_next(struct postgres_connection *connection)
{
    while (connection->hosts.data) {
        struct text rest = connection->hosts;
        struct text host = text_cut(&rest, ',');
        keep_port(connection);
        if (postgres_target_is_name(host)) {
            if (look_up(connection, host) < 0) {
                doom(connection, "the server's name cannot be resolved");
            }
            return;
        }
        connection->hosts = rest;
        postgres_places_add(&connection->places, host, TEXT(""), text_cut(&connection->ports, ','));
    }
    if (connection->places.count == 0) {
        doom(connection, "the server's name cannot be resolved: check the host in DATABASE_URL");
    } else {
        start_connecting(connection);
    }
}

/* ---- connecting */

/* libpq would print them. */
static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

static void start_connecting(struct postgres_connection *connection)
{
    connection->state = POSTGRES_CONNECTING;
    connection->pq = postgres_target_connect(&connection->pool->target, &connection->places);
    if (!connection->pq) {
        doom(connection, "out of memory");
        return;
    }
    (void)PQsetNoticeProcessor(connection->pq, ignore_notice, NULL);
    if (PQstatus(connection->pq) == CONNECTION_BAD) {
        char message[300];
        postgres_target_message(&connection->pool->target, connection->pq, message);
        doom(connection, message);
        return;
    }
    watch_for(connection, UV_WRITABLE);
}

static void greet(struct postgres_connection *connection)
{
    connection->state = POSTGRES_GREETING;
    if (PQsetnonblocking(connection->pq, 1) < 0 || !PQsendQuery(connection->pq, connection->pool->greeting)) {
        give_up_lost(connection);
        return;
    }
    exchange(connection);
}

static void continue_connecting(struct postgres_connection *connection)
{
    (void)uv_poll_stop(&connection->watch->poll);
    switch (PQconnectPoll(connection->pq)) {
    case PGRES_POLLING_READING:
        watch_for(connection, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch_for(connection, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        greet(connection);
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        give_up_lost(connection);
        break;
    }
}

struct postgres_connection *postgres_connection_open(struct postgres *pool)
{
    struct postgres_connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        return NULL;
    }
    connection->pool = pool;
    connection->deadline_ms = uv_now(pool->loop) + pool->options.connect_timeout_ms;
    list_append(&pool->connections, &connection->link);
    pool->connection_count++;
    if (postgres_target_needs_lookup(&pool->target)) {
        connection->hosts = text_of(postgres_target_value(&pool->target, "host"));
        connection->ports = text_of(postgres_target_value(&pool->target, "port"));
        resolve_next(connection);
    } else {
        start_connecting(connection);
    }
    return connection;
}

/* ---- a call's result */

/* Only what the server says about objects and permissions is passed on: other messages quote what was to be written. */
static bool may_be_quoted(const char *sqlstate)
{
    static const char *const classes[] = {"0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"};
    for (size_t i = 0; i < ARRAY_LENGTH(classes); i++) {
        if (strncmp(sqlstate, classes[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

static void read_fault(const struct postgres_connection *connection, struct postgres_result *result)
{
    const char *sqlstate = PQresultErrorField(connection->fault, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(connection->fault, PG_DIAG_MESSAGE_PRIMARY);
    if (!sqlstate) { /* libpq's own: the connection was lost */
        result->outcome = connection->state == POSTGRES_EXECUTING ? POSTGRES_UNKNOWN : POSTGRES_UNREACHABLE;
        postgres_target_message(&connection->pool->target, connection->pq, result->error);
        return;
    }
    result->outcome = POSTGRES_REFUSED;
    (void)snprintf(result->sqlstate, sizeof(result->sqlstate), "%s", sqlstate);
    (void)snprintf(result->error, sizeof(result->error), "%s (SQLSTATE %s)",
                   message && may_be_quoted(sqlstate) ? message : "the server refuses a value", sqlstate);
}

/* The server has lost our prepared statements, or has others of that name: a pooler has changed it under us. */
static bool is_another_server(const struct postgres_result *result)
{
    return strcmp(result->sqlstate, "26000") == 0 || strcmp(result->sqlstate, "42P05") == 0;
}

/* The connection is free, or gone, before its call is told. */
static void end_call(struct postgres_connection *connection)
{
    struct postgres *pool = connection->pool;
    struct postgres_call *call = connection->call;
    PGresult *rows = connection->rows;
    struct postgres_result result = {.outcome = POSTGRES_DONE, .rows = rows};
    if (connection->fault) {
        read_fault(connection, &result);
    }
    connection->rows = NULL;
    clear_results(connection);
    connection->call = NULL;
    call->connection = NULL;
    bool usable = PQstatus(connection->pq) == CONNECTION_OK && PQtransactionStatus(connection->pq) == PQTRANS_IDLE &&
                  !is_another_server(&result);
    if (usable) {
        connection->state = POSTGRES_IDLE;
        connection->deadline_ms = UINT64_MAX;
        watch_for(connection, UV_READABLE);
    } else {
        postgres_connection_drop(connection, false);
    }
    call->callback(call, &result);
    PQclear(rows);
    postgres_poke(pool);
}

static void end_greeting(struct postgres_connection *connection)
{
    if (connection->fault || PQstatus(connection->pq) != CONNECTION_OK) {
        give_up_lost(connection);
        return;
    }
    clear_results(connection);
    connection->state = POSTGRES_IDLE;
    connection->deadline_ms = UINT64_MAX;
    watch_for(connection, UV_READABLE);
    postgres_connected(connection->pool);
}

/* All results of what was sent are in. */
static void end_step(struct postgres_connection *connection)
{
    if (connection->state == POSTGRES_GREETING) {
        end_greeting(connection);
    } else if (connection->state == POSTGRES_PREPARING && !connection->fault) {
        assert(connection->prepared_count < POSTGRES_PREPARED_MAXIMUM); /* the program has fewer statements */
        connection->prepared[connection->prepared_count++] = connection->call->statement;
        clear_results(connection);
        execute(connection);
    } else {
        end_call(connection);
    }
}

/* ---- talking to the server */

static void keep_result(struct postgres_connection *connection, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) {
        PQclear(connection->rows);
        connection->rows = result;
    } else if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY && !connection->fault) {
        connection->fault = result;
    } else {
        PQclear(result);
    }
}

/* Writes what waits, reads what has come, and goes on when that was all. */
static void exchange(struct postgres_connection *connection)
{
    int rest = PQflush(connection->pq);
    if (!PQconsumeInput(connection->pq) && connection->state != POSTGRES_EXECUTING) {
        give_up_lost(connection);
        return;
    }
    while (connection->state != POSTGRES_IDLE && !PQisBusy(connection->pq)) {
        PGresult *result = PQgetResult(connection->pq);
        if (!result) {
            end_step(connection);
            return;
        }
        keep_result(connection, result);
    }
    if (PQstatus(connection->pq) == CONNECTION_BAD) {
        give_up_lost(connection);
        return;
    }
    watch_for(connection, rest > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static bool is_prepared(const struct postgres_connection *connection, const struct postgres_statement *statement)
{
    for (size_t i = 0; i < connection->prepared_count; i++) {
        if (connection->prepared[i] == statement) {
            return true;
        }
    }
    return false;
}

static void sent(struct postgres_connection *connection, int status)
{
    if (status != 1) {
        doom(connection, "the statement could not be sent");
        return;
    }
    int rest = PQflush(connection->pq);
    watch_for(connection, rest > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void execute(struct postgres_connection *connection)
{
    const struct postgres_call *call = connection->call;
    connection->state = POSTGRES_EXECUTING;
    if (call->statement->name) {
        sent(connection, PQsendQueryPrepared(connection->pq, call->statement->name, (int)call->value_count,
                                             call->values, NULL, NULL, 0));
    } else {
        sent(connection, PQsendQuery(connection->pq, call->statement->sql));
    }
}

void postgres_connection_run(struct postgres_connection *connection, struct postgres_call *call)
{
    const struct postgres_statement *statement = call->statement;
    const struct postgres *pool = connection->pool;
    connection->call = call;
    call->connection = connection;
    connection->deadline_ms = uv_now(pool->loop) + pool->options.statement_timeout_ms + PATIENCE_MS;
    if (!statement->name || is_prepared(connection, statement)) {
        execute(connection);
    } else {
        connection->state = POSTGRES_PREPARING;
        sent(connection, PQsendPrepare(connection->pq, statement->name, statement->sql, 0, NULL));
    }
}
