#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/list.h"
#include "base/text.h"
#include "net/redis_call.h"
#include "net/redis_trouble.h"
#include "net/tls.h"
#include "redis_link.h"
#include "redis_request.h"

/*
 * Commands on their way over one link after the other, and their replies, which come in the order of the commands.
 *
 * Happy path: connect, `on_open`, send; of each command `on_reply`, and then the callback of its call.
 *
 * Failure modes: what the link says; a reply that cannot be read, or that nobody asked for; none in time: `on_lost`.
 * Then, or whenever it wants to, the owner disconnects, and fails what is under way.
 *
 * A server that has forgotten a script gets its source, unseen by all.
 */
struct redis_pipeline_handler {
    void (*on_open)(void *context);
    /* A command was answered; its call has not heard it yet. May disconnect. */
    void (*on_reply)(void *context, const struct redisReply *reply);
    /* A command was answered with `error`, which is ASK. True: it is taken. Else that is its reply. */
    bool (*on_ask)(void *context, struct redis_request *request, const char *error);
    /* It is still to be disconnected. `why` lives until then. */
    void (*on_lost)(void *context, enum redis_trouble trouble, const char *why);
};

struct redis_pipeline {
    uv_loop_t *loop;
    uint64_t call_timeout_ms;
    const struct redis_pipeline_handler *handler;
    void *context;
    struct redis_link *link;    /* NULL: disconnected */
    struct redisReader *reader; /* as long as the link */
    uv_timer_t oldest;          /* for the deadline of the oldest command */
    struct list requests;       /* under way, in the order of the replies to come */
    size_t calls;               /* of them */
    size_t bytes;               /* of them */
    struct list pool;           /* of requests, for reuse */
    size_t pooled;
    void (*closed)(void *context);
};

/* `call_timeout_ms` is how old a command under way may become. */
void redis_pipeline_init(struct redis_pipeline *pipeline, uv_loop_t *loop, uint64_t call_timeout_ms,
                         const struct redis_pipeline_handler *handler, void *context);

/* Begins to connect to `path`, if it is not NULL, or `address`, while it is disconnected; the rest is as of
 * redis_link_options. 0, or a negative code: it is still disconnected. */
MUST_CHECK int redis_pipeline_connect(struct redis_pipeline *pipeline, const char *path, const struct sockaddr *address,
                                      struct tls_context *tls, const char *server_name);

/* The link is connected, though the handshake of TLS may not be over. */
bool redis_pipeline_is_connected(const struct redis_pipeline *pipeline);

/* An empty request for `call`, to be filled in and sent; NULL: no memory. */
struct redis_request *redis_pipeline_request(struct redis_pipeline *pipeline, struct redis_call *call);

/* Sends it, after on_open; it is taken. 0: the callback of its call will run; or -ENOMEM. */
MUST_CHECK int redis_pipeline_send(struct redis_pipeline *pipeline, struct redis_request *request);

/* Both at once, for a plain command. */
MUST_CHECK int redis_pipeline_command(struct redis_pipeline *pipeline, struct redis_call *call, size_t count,
                                      const struct text *arguments);

/* Ends the link at once. What is under way stays so. */
void redis_pipeline_disconnect(struct redis_pipeline *pipeline);

/* Tells all calls under way that nobody knows, after it was disconnected. Whoever hears it may close the connection. */
void redis_pipeline_fail(struct redis_pipeline *pipeline);

/* Frees it, disconnected and with nothing under way; `closed` runs with its context when nothing of it is left on the
 * loop. */
void redis_pipeline_close(struct redis_pipeline *pipeline, void (*closed)(void *context));
