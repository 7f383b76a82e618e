#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/redis_url.h"
#include "base/text.h"
#include "net/tls.h"

/*
 * Where the server is that commands are to go to, found anew for each try to connect: a name may lead to another server
 * after a failover, the sentinels may tell of another primary, the cluster of another node. Nothing here blocks the
 * loop.
 *
 * A name with several addresses gives them in turn. Sentinels are asked in turn, each for at most a second, until one
 * answers. Of a cluster, the node that the last MOVED named is tried, then those that were learnt and those of the URL
 * in turn.
 */
struct redis_route;

#define REDIS_HOST_SIZE 256

struct redis_node {
    char host[REDIS_HOST_SIZE];
    uint16_t port;
};

bool redis_node_equal(const struct redis_node *a, const struct redis_node *b);

struct redis_place {
    const char *path; /* of a unix socket, or NULL: */
    struct sockaddr_storage address;
    const char *host; /* by which name it was found */
};

/* `place` is lent until it returns; NULL: `why` says why there is none. May run inside redis_route_find(). */
typedef void (*redis_route_found)(void *context, const struct redis_place *place, const char *why);

/* `url` outlives the route. 0 or -ENOMEM. */
MUST_CHECK int redis_route_create(uv_loop_t *loop, const struct redis_url *url, redis_route_found found, void *context,
                                  struct redis_route **route);

/* Looks for the server; `found` runs once, unless it is cancelled. Not while the last one is under way. `tls` is for
 * asking sentinels, lent until `found` runs; NULL: plain. */
void redis_route_find(struct redis_route *route, struct tls_context *tls);

/* `found` does not run for the last redis_route_find() any more. */
void redis_route_cancel(struct redis_route *route);

/* Whom a cluster's error "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT" names. False: nobody. */
MUST_CHECK bool redis_route_read(const struct redis_route *route, struct text error, struct redis_node *node);

/* The next try goes where `moved`, such an error, says. */
void redis_route_follow(struct redis_route *route, struct text moved);

/* Another node of the cluster, to be tried when others fail. */
void redis_route_learn(struct redis_route *route, struct text host, uint16_t port);

/* `found` does not run any more; `closed` runs when nothing of it is left on the loop, perhaps at once. */
void redis_route_close(struct redis_route *route, void (*closed)(void *context));
