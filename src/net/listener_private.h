#pragma once

#include "base/list.h"
#include "net/listener.h"

/*
 * What listener.c and conn.c share. The listener owns the connections; a connection is in exactly one stage's list, and
 * only conn_move() moves it.
 */
enum conn_stage {
    CONN_HANDSHAKE, /* TLS is being agreed on; by the client */
    CONN_NEW,       /* before the first byte of the first request; woken by the client */
    CONN_IDLE,      /* between requests; by the client */
    CONN_HEAD,      /* in a request's head; by the client */
    CONN_BODY,      /* in its body; by the client */
    CONN_WAITING,   /* for the handler's answer; by conn_answer(). No deadline here: the handler has its own */
    CONN_WRITING,   /* the answer does not fit into the socket; woken by the client taking it */
    CONN_LEAVING,   /* our side is shut; what still comes in is thrown away so that the last answer is not reset */
    CONN_CLOSED,    /* until libuv lets go */
    CONN_STAGES
};

#define LISTENER_BUFFER_SIZE 65536
#define PLAIN_BUFFER_SIZE 16384 /* a TLS record's largest content (RFC 8446 section 5.1) */

struct listener {
    int socket;         /* -1: closed */
    uv_poll_t arrivals; /* active while clients are let in */
    uv_timer_t tick;    /* runs while there are connections */
    uv_timer_t pause;   /* runs after a failure to accept, until the next try */
    uv_loop_t *loop;
    struct listener_options options;
    struct listener_counters counters;
    struct endpoint endpoint;
    struct list stages[CONN_STAGES]; /* of struct conn, soonest deadline first */
    uint64_t stage_timeouts[CONN_STAGES];
    size_t open;
    size_t held; /* bytes on the heap, of requests that are still arriving; see conn.c */
    bool draining;
    bool closing;
    uint64_t drain_deadline_ms;
    void (*drained)(void *context);
    void *drained_context;
    void (*closed)(void *context);
    void *closed_context;
    int open_handles;
    struct list free_requests; /* of struct pooled_request */
    struct buffer scratch;     /* error bodies */
    int64_t date_seconds;
    char date[HTTP_DATE_SIZE];
    char id_prefix[9];
    uint64_t next_id;
    char *plain;                      /* TLS: PLAIN_BUFFER_SIZE bytes for what was decrypted; NULL without */
    char input[LISTENER_BUFFER_SIZE]; /* every connection reads into this one: libuv reads and reports before it reads
                                         again */
};

struct pooled_request {
    struct list link;
    struct http_request request;
};

struct conn {
    uv_tcp_t tcp;
    struct listener *listener;
    struct list link;
    struct address *address; /* NULL: not counted by address */
    enum conn_stage stage;
    bool ended;       /* the client has shut its side */
    bool feeding;     /* bytes are being worked on further up the stack */
    bool close_after; /* after the answer at hand */
    bool is_head;     /* the request at hand */
    bool is_1_0;      /* the same */
    bool overrun;     /* more came behind the request at hand than is kept */
    uint64_t deadline_ms;
    uint64_t first_byte_ms;
    uint64_t requests;
    struct tls_stream *tls; /* NULL: plain */
    llhttp_t parser;
    struct pooled_request *incoming; /* HEAD, BODY */
    struct buffer behind;            /* bytes behind the request at hand */
    size_t held;                     /* its part of listener->held */
    void *waiting;
    char id[28];
};

/* ---- conn.c, for the listener */

/* Takes over an accepted socket in conn->tcp, which the listener has initialised. */
void conn_begin(struct conn *conn);

/* Cuts it: no answer, no lingering. Twice is fine. */
void conn_cut(struct conn *conn);

/* Its deadline has passed. */
void conn_expire(struct conn *conn);

/* Closes it now when it is idle, else after the answer at hand; a new one after its first answer, which it has
 * the linger timeout to ask for. */
void conn_drain(struct conn *conn);

/* ---- listener.c, for the connections */

/* Adds to a counter that only this loop writes. */
static inline void listener_count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* The connection's memory may go: it was removed from its list and its handle is closed. */
void listener_forget(struct listener *listener, struct conn *conn);

const char *listener_date(struct listener *listener);
void listener_make_id(struct listener *listener, char id[28]);

struct pooled_request *listener_take_request(struct listener *listener);
void listener_give_back(struct listener *listener, struct pooled_request *request);
