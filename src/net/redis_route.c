#include "redis_route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct redis_route {
    uv_loop_t *loop;
    const struct redis_url *url;
    redis_route_found found;
    void *context;
    bool wanted; /* somebody waits for `found` */
    uv_getaddrinfo_t resolver;
    bool resolving;
    unsigned turn; /* which of a name's addresses is next */
    void (*closed)(void *context);
};

static void fail(struct redis_route *route, const char *why)
{
    if (route->wanted) {
        route->wanted = false;
        route->found(route->context, NULL, why);
    }
}

static void give(struct redis_route *route, const struct redis_place *place)
{
    if (route->wanted) {
        route->wanted = false;
        route->found(route->context, place, NULL);
    }
}

/* ---- names */

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    }
}

static const struct addrinfo *choose(const struct addrinfo *addresses, unsigned turn)
{
    unsigned count = 0;
    for (const struct addrinfo *one = addresses; one; one = one->ai_next) {
        count++;
    }
    for (unsigned i = count > 0 ? turn % count : 0; i > 0; i--) {
        addresses = addresses->ai_next;
    }
    return addresses;
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *addresses)
{
    struct redis_route *route = resolver->data;
    route->resolving = false;
    const struct addrinfo *chosen = status == 0 ? choose(addresses, route->turn) : NULL;
    struct redis_place place = {.host = route->url->host};
    if (chosen) {
        route->turn++; /* should this one not work, the next one is tried */
        memcpy(&place.address, chosen->ai_addr, chosen->ai_addrlen);
        set_port(&place.address, route->url->port);
    }
    uv_freeaddrinfo(addresses);
    if (route->closed) {
        void (*closed)(void *) = route->closed;
        void *context = route->context;
        free(route);
        closed(context);
    } else if (chosen) {
        give(route, &place);
    } else {
        fail(route, "its name cannot be resolved");
    }
}

static void resolve(struct redis_route *route)
{
    if (route->resolving) {
        return; /* an earlier question is still open; its answer will do */
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    route->resolver.data = route;
    route->resolving = uv_getaddrinfo(route->loop, &route->resolver, on_resolved, route->url->host, NULL, &hints) == 0;
    if (!route->resolving) {
        fail(route, "its name cannot be resolved");
    }
}

static bool is_literal(const char *host, uint16_t port, struct sockaddr_storage *address)
{
    return uv_ip4_addr(host, port, (struct sockaddr_in *)(void *)address) == 0 ||
           uv_ip6_addr(host, port, (struct sockaddr_in6 *)(void *)address) == 0;
}

/* ---- finding */

void redis_route_find(struct redis_route *route)
{
    const struct redis_url *url = route->url;
    struct redis_place place = {.path = url->path, .host = url->host};
    route->wanted = true;
    if (url->path || is_literal(url->host, url->port, &place.address)) {
        give(route, &place);
    } else {
        resolve(route);
    }
}

void redis_route_cancel(struct redis_route *route)
{
    route->wanted = false;
}

int redis_route_create(uv_loop_t *loop, const struct redis_url *url, redis_route_found found, void *context,
                       struct redis_route **created)
{
    struct redis_route *route = calloc(1, sizeof(*route));
    if (!route) {
        return -ENOMEM;
    }
    route->loop = loop;
    route->url = url;
    route->found = found;
    route->context = context;
    *created = route;
    return 0;
}

void redis_route_close(struct redis_route *route, void (*closed)(void *context))
{
    route->wanted = false;
    if (route->resolving) {
        route->closed = closed; /* on_resolved() always runs */
        (void)uv_cancel((uv_req_t *)&route->resolver);
    } else {
        void *context = route->context;
        free(route);
        closed(context);
    }
}
