#include "app/router.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct router {
    const struct replies *replies;
    size_t count;
    struct route routes[ROUTES_MAXIMUM];
    size_t lengths[ROUTES_MAXIMUM]; /* of their paths */
};

int router_create(const struct replies *replies, struct router **created)
{
    struct router *router = calloc(1, sizeof(*router));
    if (!router) {
        return -ENOMEM;
    }
    router->replies = replies;
    *created = router;
    return 0;
}

void router_free(struct router *router)
{
    free(router);
}

void router_add(struct router *router, const struct route *route)
{
    assert(router->count < ROUTES_MAXIMUM); /* they are few, and ours */
    router->lengths[router->count] = text_of(route->path).length;
    router->routes[router->count++] = *route;
}

static const struct route *find(const struct router *router, struct text path)
{
    for (size_t i = 0; i < router->count; i++) {
        if (text_equal(path, (struct text){.data = router->routes[i].path, .length = router->lengths[i]})) {
            return &router->routes[i];
        }
    }
    return NULL;
}

static bool allows(const struct route *route, struct text method)
{
    struct text rest = text_of(route->allow);
    while (rest.data) {
        if (text_equal(text_trim(text_cut(&rest, ',')), method)) {
            return true;
        }
    }
    return false;
}

static void on_request(void *context, struct conn *conn, const struct http_request *request)
{
    const struct router *router = context;
    const struct route *route = find(router, request->path);
    if (!route) {
        reply_give(router->replies, conn, &(struct reply){.answer = ANSWER_NOT_FOUND});
    } else if (!allows(route, text_of(request->method))) {
        reply_give(router->replies, conn, &(struct reply){.answer = ANSWER_METHOD_NOT_ALLOWED, .allow = route->allow});
    } else {
        route->take(route->context, conn, request);
    }
}

static bool wants_body(void *context, const struct http_request *request)
{
    const struct route *route = find(context, request->path);
    return route && allows(route, text_of(request->method));
}

static void on_gone(void *context, struct conn *conn, void *waiting)
{
    struct waiter *waiter = waiting;
    (void)context;
    (void)conn;
    if (waiter) {
        waiter->gone(waiter);
    }
}

static void on_refused(void *context, struct conn *conn, const struct http_fault *fault)
{
    const struct router *router = context;
    reply_note(router->replies, conn, &(struct reply){.answer = answer_of_code(fault->code)});
}

const struct conn_handler router_handler = {
    .on_request = on_request, .wants_body = wants_body, .on_gone = on_gone, .on_refused = on_refused};
