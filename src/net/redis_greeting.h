#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "net/redis_call.h"
#include "net/redis_facts.h"
#include "net/redis_options.h"
#include "redis_pipeline.h"
#include "redis_route.h"

/*
 * What is said to a server right after it is reached, in one write: AUTH and SELECT; INFO and CONFIG GET, whose answers
 * tell whether it is the server that is wanted; EXISTS and CLUSTER SLOTS, which tell who it is in a cluster; SCRIPT
 * LOAD; CLIENT SETNAME.
 *
 * Failure modes: an error, unless it is that the user may not ask something that need not be known; a replica; one that
 * is not admitted.
 */
struct redis_greeting {
    const struct redis_options *options;
    struct redis_pipeline *pipeline;
    struct redis_route *route; /* learns the other nodes of a cluster */
    /* REDIS_FINE: it is the server that is wanted. Else `why` is lent until it returns. */
    void (*on_end)(void *context, enum redis_trouble trouble, const char *why);
    void *context;
    bool under_way;
    unsigned awaited; /* replies still to come */
    struct redis_facts facts;
    struct redis_call command; /* what must be answered without an error */
    struct redis_call info;    /* questions that need not be answered */
    struct redis_call config;
    struct redis_call name;
    struct redis_call slot;
    struct redis_call nodes;
};

/* Says it, with what comes before `under_way` filled in. 0: on_end will run, once, unless it is abandoned; -ENOMEM: it
 * will not, once it is. */
MUST_CHECK int redis_greeting_begin(struct redis_greeting *greeting);

/* The server was lost: on_end does not run any more. */
void redis_greeting_abandon(struct redis_greeting *greeting);
