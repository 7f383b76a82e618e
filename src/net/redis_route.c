#include "redis_route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_sentinel.h"

#define NODES_MAXIMUM 64
#define SENTINEL_PATIENCE_MS 1000

struct redis_route {
    uv_loop_t *loop;
    const struct redis_url *url;
    redis_route_found found;
    void *context;
    bool wanted;            /* somebody waits for `found` */
    struct redis_node goal; /* whose address is looked for */
    bool is_sentinel;       /* the goal is one, to be asked */
    struct redis_node moved;
    bool has_moved;
    struct redis_node *nodes; /* of a cluster, learnt; NULL: none */
    size_t node_count;
    size_t turn;         /* which host, sentinel or node is next */
    size_t address_turn; /* which address of a name is next */
    size_t asked;        /* sentinels, by this redis_route_find() */
    uv_getaddrinfo_t resolver;
    bool resolving;
    struct redis_node resolved; /* what the resolver was asked for */
    struct redis_sentinel *question;
    struct tls_context *tls;
    uv_timer_t patience; /* with a sentinel */
    int open_parts;      /* while closing: the timer, and the resolver */
    void (*closed)(void *context);
};

static void resolve(struct redis_route *route);
static void ask_next_sentinel(struct redis_route *route, const char *why);

static void fail(struct redis_route *route, const char *why)
{
    if (route->wanted) {
        route->wanted = false;
        route->found(route->context, NULL, why);
    }
}

static void set_node(struct redis_node *node, const char *host, uint16_t port)
{
    (void)snprintf(node->host, sizeof(node->host), "%s", host);
    node->port = port;
}

/* ---- sentinels */

static void end_question(struct redis_route *route)
{
    redis_sentinel_end(route->question);
    route->question = NULL;
    (void)uv_timer_stop(&route->patience);
}

static void on_answer(void *context, const char *host, uint16_t port, const char *why)
{
    struct redis_route *route = context;
    char reason[128];
    if (host) {
        set_node(&route->goal, host, port);
    } else {
        (void)snprintf(reason, sizeof(reason), "a sentinel: %s", why);
    }
    end_question(route); /* and with it `host` and `why` */
    if (host) {
        route->is_sentinel = false;
        resolve(route);
    } else {
        ask_next_sentinel(route, reason);
    }
}

static void on_impatient(uv_timer_t *timer)
{
    struct redis_route *route = timer->data;
    end_question(route);
    ask_next_sentinel(route, "a sentinel did not answer in time");
}

static void ask_sentinel(struct redis_route *route, const struct sockaddr_storage *address)
{
    struct redis_sentinel_options options = {
        .url = route->url,
        .address = (const struct sockaddr *)address,
        .tls = route->tls,
        .server_name = route->url->server_name ? route->url->server_name : route->goal.host,
        .answered = on_answer,
        .context = route,
    };
    (void)uv_timer_start(&route->patience, on_impatient, SENTINEL_PATIENCE_MS, 0);
    int status = redis_sentinel_ask(route->loop, &options, &route->question);
    if (status < 0) {
        route->question = NULL;
        (void)uv_timer_stop(&route->patience);
        ask_next_sentinel(route, uv_strerror(status));
    }
}

static void ask_next_sentinel(struct redis_route *route, const char *why)
{
    const struct redis_url *url = route->url;
    if (!route->wanted) {
        return;
    }
    if (route->asked > 0) {
        route->turn++; /* the last one was of no use; else the one that answered before is asked first */
    }
    if (route->asked == url->host_count) {
        fail(route, why);
        return;
    }
    route->asked++;
    const struct redis_host *host = &url->hosts[route->turn % url->host_count];
    route->is_sentinel = true;
    set_node(&route->goal, host->name, host->port);
    resolve(route);
}

/* ---- names */

static void give(struct redis_route *route, const struct sockaddr_storage *address)
{
    if (!route->wanted) {
        return;
    }
    if (route->is_sentinel) {
        ask_sentinel(route, address);
        return;
    }
    struct redis_place place = {.address = *address, .host = route->goal.host};
    route->wanted = false;
    route->found(route->context, &place, NULL);
}

static void unresolved(struct redis_route *route)
{
    if (route->is_sentinel) {
        ask_next_sentinel(route, "a sentinel's name cannot be resolved");
    } else {
        fail(route, "its name cannot be resolved");
    }
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    }
}

static const struct addrinfo *choose(const struct addrinfo *addresses, size_t turn)
{
    size_t count = 0;
    for (const struct addrinfo *one = addresses; one; one = one->ai_next) {
        count++;
    }
    for (size_t i = count > 0 ? turn % count : 0; i > 0; i--) {
        addresses = addresses->ai_next;
    }
    return addresses;
}

static void part_closed(struct redis_route *route)
{
    if (--route->open_parts == 0) {
        void (*closed)(void *) = route->closed;
        void *context = route->context;
        free(route->nodes);
        free(route);
        closed(context);
    }
}

bool redis_node_equal(const struct redis_node *a, const struct redis_node *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *addresses)
{
    struct redis_route *route = resolver->data;
    route->resolving = false;
    const struct addrinfo *chosen = status == 0 ? choose(addresses, route->address_turn++) : NULL;
    struct sockaddr_storage address = {0};
    if (chosen) {
        memcpy(&address, chosen->ai_addr, chosen->ai_addrlen);
        set_port(&address, route->resolved.port);
    }
    uv_freeaddrinfo(addresses);
    if (route->closed) {
        part_closed(route);
    } else if (route->wanted && !redis_node_equal(&route->resolved, &route->goal)) {
        resolve(route); /* the goal has changed meanwhile */
    } else if (chosen) {
        give(route, &address);
    } else if (route->wanted) {
        unresolved(route);
    }
}

static bool is_literal(const struct redis_node *node, struct sockaddr_storage *address)
{
    return uv_ip4_addr(node->host, node->port, (struct sockaddr_in *)(void *)address) == 0 ||
           uv_ip6_addr(node->host, node->port, (struct sockaddr_in6 *)(void *)address) == 0;
}

static void resolve(struct redis_route *route)
{
    struct sockaddr_storage address = {0};
    if (is_literal(&route->goal, &address)) {
        give(route, &address);
        return;
    }
    if (route->resolving) {
        return; /* an earlier question is still open; its answer comes first */
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    route->resolver.data = route;
    route->resolved = route->goal;
    route->resolving = uv_getaddrinfo(route->loop, &route->resolver, on_resolved, route->goal.host, NULL, &hints) == 0;
    if (!route->resolving) {
        unresolved(route);
    }
}

/* ---- clusters */

/* Without a host it is the one that said so, with another port. */
bool redis_route_read(const struct redis_route *route, struct text error, struct redis_node *node)
{
    (void)text_cut(&error, ' ');
    (void)text_cut(&error, ' ');
    struct text place = text_cut(&error, ' ');
    size_t colon = place.length;
    while (colon > 0 && place.data[colon - 1] != ':') {
        colon--;
    }
    uint64_t port;
    if (colon == 0 || colon > REDIS_HOST_SIZE ||
        text_to_unsigned((struct text){place.data + colon, place.length - colon}, UINT16_MAX, &port) < 0) {
        return false;
    }
    char host[REDIS_HOST_SIZE];
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - 1), place.data);
    set_node(node, host[0] != '\0' ? host : route->goal.host, (uint16_t)port);
    return true;
}

void redis_route_follow(struct redis_route *route, struct text moved)
{
    if (redis_route_read(route, moved, &route->moved)) {
        route->has_moved = true;
    }
}

void redis_route_learn(struct redis_route *route, struct text host, uint16_t port)
{
    struct redis_node node;
    if (host.length == 0 || host.length >= REDIS_HOST_SIZE) {
        return;
    }
    (void)snprintf(node.host, sizeof(node.host), "%.*s", TEXT_ARGUMENTS(host));
    node.port = port;
    for (size_t i = 0; i < route->node_count; i++) {
        if (redis_node_equal(&node, &route->nodes[i])) {
            return;
        }
    }
    if (!route->nodes) {
        route->nodes = calloc(NODES_MAXIMUM, sizeof(*route->nodes));
    }
    if (route->nodes && route->node_count < NODES_MAXIMUM) {
        route->nodes[route->node_count++] = node;
    }
}

/* ---- finding */

static void choose_node(struct redis_route *route)
{
    const struct redis_url *url = route->url;
    if (route->has_moved) {
        route->has_moved = false; /* should it not work, the others are tried */
        route->goal = route->moved;
        return;
    }
    size_t turn = route->turn++ % (route->node_count + url->host_count);
    if (turn < route->node_count) {
        route->goal = route->nodes[turn];
    } else {
        const struct redis_host *host = &url->hosts[turn - route->node_count];
        set_node(&route->goal, host->name, host->port);
    }
}

void redis_route_find(struct redis_route *route, struct tls_context *tls)
{
    const struct redis_url *url = route->url;
    route->wanted = true;
    route->is_sentinel = false;
    route->tls = tls;
    if (url->path) {
        struct redis_place place = {.path = url->path};
        route->wanted = false;
        route->found(route->context, &place, NULL);
    } else if (url->kind == REDIS_SENTINEL) {
        route->asked = 0;
        ask_next_sentinel(route, "there are no sentinels");
    } else {
        choose_node(route);
        resolve(route);
    }
}

void redis_route_cancel(struct redis_route *route)
{
    if (route->wanted && route->is_sentinel) {
        route->turn++; /* the one that was being asked was too slow */
    }
    route->wanted = false;
    end_question(route);
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
    (void)uv_timer_init(loop, &route->patience);
    route->patience.data = route;
    *created = route;
    return 0;
}

static void on_patience_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void redis_route_close(struct redis_route *route, void (*closed)(void *context))
{
    redis_route_cancel(route);
    route->closed = closed;
    route->open_parts = route->resolving ? 2 : 1; /* on_resolved() always runs */
    if (route->resolving) {
        (void)uv_cancel((uv_req_t *)&route->resolver);
    }
    uv_close((uv_handle_t *)&route->patience, on_patience_closed);
}
