#pragma once

#include <stddef.h>

#include "app/reply.h"
#include "base/attributes.h"
#include "base/text.h"
#include "net/conn.h"

/*
 * Who answers which path of the webhook listener. What nobody answers is 404, and a method that a path does not have is
 * 405. One per loop; its routes are put in before the first request.
 */
struct router;

/* A request that waits for its answer: embedded by whoever answers it later, who gives it to conn_set_waiting(). */
struct waiter {
    void (*gone)(struct waiter *waiter); /* the client has gone: forget the conn */
};

struct route {
    const char *path;  /* exactly; outlives the router */
    const char *allow; /* "GET, HEAD": its methods, as a 405 tells them */
    void (*take)(void *context, struct conn *conn, const struct http_request *request);
    void *context;
};

#define ROUTES_MAXIMUM 16

/* The replies outlive it. 0 or -ENOMEM. */
MUST_CHECK int router_create(const struct replies *replies, struct router **router);

/* Requests that wait must have been answered, or their connections closed. NULL is fine. */
void router_free(struct router *router);

/* The first route is looked at first: it is the one that is to be fast. */
void router_add(struct router *router, const struct route *route);

/* For the listener; its context is the router. */
extern const struct conn_handler router_handler;
