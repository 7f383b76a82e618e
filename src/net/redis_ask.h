#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/list.h"
#include "base/redis_url.h"
#include "net/redis.h"
#include "redis_request.h"
#include "redis_route.h"

/*
 * Where commands go that a node of a cluster has answered with ASK: while our slot moves, key by key, to another node,
 * what is not here any more, or is nowhere yet, is asked for there, behind ASKING, each command for itself. The
 * connection that was answered so stays where it is.
 *
 * Happy path: for the first command a connection to the named node is made, with the login, TLS and demands of the one
 * that was answered; what comes meanwhile waits. It is closed when nothing was sent for call_timeout_ms.
 *
 * Failure modes: the node is not ready within connect_timeout_ms, is lost, or says that it is the wrong one: what waits
 * for it, or is under way, gets the reply NULL, and the next command tries anew. A slot moves to one node at a time:
 * another one is refused until the connection to the first is closed.
 */
struct redis_ask {
    uv_loop_t *loop;
    const struct redis_options *options; /* of the connection that is answered ASK */
    void (*on_reply)(void *context, const struct redisReply *reply);
    void *context;
    char name[160];
    struct redis_node node;
    struct redis_url url;     /* the one of `options`, but of that node alone */
    struct redis *connection; /* to it; NULL: none */
    bool leaving;             /* the connection is being closed */
    struct redis_call asking; /* of every ASKING: their replies say nothing */
    struct list waiting;      /* for the connection to be ready */
    size_t calls;             /* that wait or are under way */
    size_t bytes;             /* of them */
    uv_timer_t timer;         /* until the connection must be ready, or is closed because nobody needs it */
    unsigned holds;           /* at the end: the timer and the connection */
    void (*closed)(void *context);
};

/* `options` outlive it. `on_reply` runs when such a command was answered, before its call hears it. */
void redis_ask_init(struct redis_ask *ask, uv_loop_t *loop, const struct redis_options *options,
                    void (*on_reply)(void *context, const struct redisReply *reply), void *context);

/* Sends it to `node`. 0: it is taken, and the callback of its call will run; or a negative code: nothing was sent. */
MUST_CHECK int redis_ask_send(struct redis_ask *ask, const struct redis_node *node, struct redis_request *request);

/* Closes the connection: all calls that wait or are under way hear now that nobody knows. */
void redis_ask_drop(struct redis_ask *ask);

/* The same, for good; `closed` runs with its context when nothing of it is left on the loop. */
void redis_ask_close(struct redis_ask *ask, void (*closed)(void *context));
