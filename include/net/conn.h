#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/text.h"
#include "net/http.h"

/*
 * One client's connection, as the one who answers its requests sees it.
 *
 * Requests come one at a time: the next is read when the last has been answered. on_request() gets a whole request and
 * answers it at once or later, from the same thread. Everything about its texts ends with on_request(): keep what is
 * needed.
 */
struct conn;

struct conn_handler {
    /* Answer it with conn_answer(), exactly once, now or later; or be told that the client has gone. */
    void (*on_request)(void *context, struct conn *conn, const struct http_request *request);

    /* A client waits for "100 Continue" (RFC 9110 section 10.1.1) before it sends the body of this request, whose head
     * is whole: is the body of any use? If not, the request goes to on_request() without it, and the connection closes
     * after the answer. */
    bool (*wants_body)(void *context, const struct http_request *request);

    /* The client went away before its answer: forget `conn`. `waiting` is what conn_set_waiting() was given. */
    void (*on_gone)(void *context, struct conn *conn, void *waiting);

    /* A request was refused before it reached on_request(), with this status. May be NULL. */
    void (*on_refused)(void *context, struct conn *conn, const struct http_fault *fault);
};

/* What on_gone() is to be given while the request at hand waits for its answer. */
void conn_set_waiting(struct conn *conn, void *waiting);

/* Answers the request at hand. The answer's body is copied or written before this returns. */
void conn_answer(struct conn *conn, const struct http_answer *answer);

/* The same with the body {"error":{"code":…,"message":…}}; `answer->body` is not looked at. */
void conn_answer_error(struct conn *conn, const struct http_answer *answer, const char *code, const char *message);

/* The X-Request-Id of the request at hand; valid until it is answered. */
const char *conn_request_id(const struct conn *conn);

/* The client's address as text, "192.0.2.1"; "" when it is not known. Made on each call, for logs: not for the hot
 * path. */
#define CONN_PEER_SIZE 48
void conn_peer(const struct conn *conn, char peer[CONN_PEER_SIZE]);
