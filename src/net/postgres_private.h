#pragma once

#include "base/holds.h"
#include "net/postgres.h"
#include "postgres_target.h"

/* What postgres.c, the pool, and postgres_connection.c share. The pool owns its connections. */
struct postgres {
    uv_loop_t *loop;
    struct postgres_options options;
    struct postgres_target target;
    char greeting[64];
    struct list connections; /* of struct postgres_connection */
    size_t connection_count;
    struct list waiting; /* of struct postgres_call, oldest first */
    size_t waiting_count;
    uv_timer_t timer;     /* the soonest deadline */
    unsigned failures;    /* to connect, in a row */
    uint64_t retry_at_ms; /* no connection is tried before */
    char error[300];      /* why the last try failed */
    struct holds holds;   /* the timer, and what its connections have open */
};

enum postgres_connection_state {
    POSTGRES_RESOLVING,  /* for the resolver */
    POSTGRES_CONNECTING, /* for the socket, as PQconnectPoll() wants it */
    POSTGRES_GREETING,   /* for the answer to our settings */
    POSTGRES_IDLE,       /* for a call */
    POSTGRES_PREPARING,  /* for the answers to a call's statement */
    POSTGRES_EXECUTING,
};

#define POSTGRES_PREPARED_MAXIMUM 8

struct postgres_watch; /* a poll handle: it outlives its connection by a turn of the loop */
struct postgres_lookup;

struct postgres_connection {
    struct list link;
    struct postgres *pool;
    enum postgres_connection_state state;
    uint64_t deadline_ms; /* loop time; UINT64_MAX: none */
    char doom[300];       /* why it is to be given up at its deadline, which is now; "": time ran out */
    PGconn *pq;           /* NULL while resolving */
    struct postgres_watch *watch;
    struct postgres_lookup *lookup;
    struct text hosts; /* still to be resolved */
    struct text ports;
    struct postgres_places places;
    const struct postgres_statement *prepared[POSTGRES_PREPARED_MAXIMUM];
    size_t prepared_count;
    struct postgres_call *call; /* PREPARING, EXECUTING */
    PGresult *rows;             /* the last one with rows */
    PGresult *fault;            /* the first one that is an error */
};

/* ---- postgres_connection.c */

/* Begins to connect. NULL when out of memory. */
struct postgres_connection *postgres_connection_open(struct postgres *pool);

/* Runs `call` on an idle connection. */
void postgres_connection_run(struct postgres_connection *connection, struct postgres_call *call);

/* Its time is up, or it is doomed: closes it and reports. */
void postgres_connection_expire(struct postgres_connection *connection);

/* Closes it and reports nothing; what runs is canceled when `cancel`. */
void postgres_connection_drop(struct postgres_connection *connection, bool cancel);

/* ---- postgres.c, for the connections */

/* One has become idle for the first time; one that had not has failed and is gone. */
void postgres_connected(struct postgres *pool);
void postgres_connecting_failed(struct postgres *pool, const char *error);

/* One is idle again, or gone: start and open what can be. */
void postgres_poke(struct postgres *pool);

/* The deadlines have changed. */
void postgres_wind(struct postgres *pool);

/* A handle or request of the pool's has left the loop. */
void postgres_handle_closed(struct postgres *pool);
