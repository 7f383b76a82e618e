#pragma once

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/list.h"
#include "base/secret.h"

struct pg_result; /* libpq */

/*
 * PostgreSQL on a libuv loop: a pool of connections, opened when calls need them, up to a bound, and kept.
 *
 * Happy path: a call takes a free connection, or one is opened for it, or it waits. Its statement is prepared there,
 * unless it was before, and executed; its result is reported. Names are resolved in the loop's thread pool, and every
 * address of every host is tried, with the name that TLS is to check.
 *
 * Failure modes: no connection can be had: the calls that wait are UNREACHABLE, and so are new ones until a backoff of
 * 50 ms doubling to 5 s, with jitter, has passed; then the next call tries again. A connection that is lost, or silent
 * for longer than its statement may take, is given up, and its call is UNKNOWN. Losses are logged once, and never with
 * a password or a value of a row.
 *
 * postgres_library_open() has succeeded.
 */
struct postgres;

struct postgres_options {
    const struct secret *url;      /* postgresql://…; lent until postgres_open() returns */
    const char *ca_file;           /* authorities (PEM) for sslmode=verify-… when the URL names none; NULL: libpq's */
    uint64_t connect_timeout_ms;   /* to connect and log in; also what a call may wait for a connection */
    uint64_t statement_timeout_ms; /* of one statement, locks that it waits for included */
    size_t connections;            /* at most, at least 1 */
    size_t waiting;                /* calls that may wait for a connection */
};

/* 0; -EINVAL: the URL is not one that libpq understands; -ENOMEM. */
MUST_CHECK int postgres_open(uv_loop_t *loop, const struct postgres_options *options, struct postgres **postgres);

/* Calls that wait or run are reported now, as UNREACHABLE or UNKNOWN, and what runs is canceled at the server; `closed`
 * runs when nothing of the pool is left on the loop. */
void postgres_close(struct postgres *postgres, void (*closed)(void *context), void *context);

enum postgres_outcome {
    POSTGRES_DONE,
    POSTGRES_REFUSED,     /* the server answered with an error, and has changed nothing: see `sqlstate` */
    POSTGRES_UNREACHABLE, /* it was not sent */
    POSTGRES_UNKNOWN,     /* sent, and not answered: it may have been done */
};

struct postgres_result {
    enum postgres_outcome outcome;
    char sqlstate[6];        /* REFUSED: five characters (PostgreSQL's appendix A) */
    char error[300];         /* unless DONE: a sentence for the operator */
    uint64_t retry_after_ms; /* UNREACHABLE: not before */
    const struct pg_result *rows;
};

/* DONE: how many rows came back, and one value as text; NULL when it is null or there is no such row. */
int postgres_row_count(const struct postgres_result *result);
const char *postgres_value(const struct postgres_result *result, int row, int column);

/* Lives as long as the pool. */
struct postgres_statement {
    const char *name; /* under which it is prepared; NULL: one or more statements without parameters, run as they are */
    const char *sql;
};

struct postgres_connection;

/* One call; embedded by the caller, and left in place until its callback has run or it was abandoned. */
struct postgres_call {
    struct list link;
    const struct postgres_statement *statement;
    const char *const *values; /* the parameters as text, NULL for null; left in place likewise */
    size_t value_count;
    /* `result` is lent until it returns. Runs once, never inside postgres_start(). */
    void (*callback)(struct postgres_call *call, const struct postgres_result *result);
    struct postgres_connection *connection; /* the pool's own: where it runs; NULL while it waits */
    uint64_t deadline_ms;                   /* the pool's own */
};

/* 0: the callback will run. -ENOBUFS: too many calls wait. */
MUST_CHECK int postgres_start(struct postgres *postgres, struct postgres_call *call);

/* The callback will not run. What runs is canceled at the server, and may have been done. */
void postgres_abandon(struct postgres *postgres, struct postgres_call *call);
