#pragma once

#include <netinet/in.h>
#include <sys/un.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/redis_url.h"

/*
 * Where the server is that commands are to go to, found anew for each try to connect: a name may lead to another server
 * after a failover. A name with several addresses gives them in turn. Nothing here blocks the loop.
 */
struct redis_route;

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

/* Looks for the server; `found` runs once, unless it is cancelled. Not while the last one is under way. */
void redis_route_find(struct redis_route *route);

/* `found` does not run for the last redis_route_find() any more. */
void redis_route_cancel(struct redis_route *route);

/* `found` does not run any more; `closed` runs when nothing of it is left on the loop, perhaps at once. */
void redis_route_close(struct redis_route *route, void (*closed)(void *context));
