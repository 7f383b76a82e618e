#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/redis_url.h"
#include "net/redis_facts.h"
#include "net/redis_script.h"
#include "net/redis_trouble.h"

#define REDIS_WHY_SIZE 256 /* of a reason, for logs and people */

/* What a connection to Redis is to be like; see redis.h. */
struct redis_options {
    const struct redis_url *url; /* outlives the connection */
    const char *name;            /* CLIENT SETNAME; letters, digits, '-', '.', ':' */
    uint64_t connect_timeout_ms; /* for all of resolving, connecting and greeting */
    uint64_t call_timeout_ms;
    uint64_t check_every_ms; /* a connection that was silent for so long is checked; 0: never */
    const char *probe;       /* the key that a check writes, outlives the connection. NULL: checked by PING alone, and
                                refusals of single commands are the caller's affair */
    bool probes_idle;        /* also when all seemed well and nothing happened; else that is a PING */
    const char *key;         /* one of the caller's: in a cluster, the node that serves it is looked for; may be NULL */
    bool never_asks;         /* what a node of a cluster answers with ASK is not asked elsewhere */
    size_t max_calls;        /* under way at once */
    size_t max_bytes;        /* of the commands under way */
    const struct redis_script *const *scripts; /* ends with NULL; may be NULL */
    /* May be NULL: called at the end of each greeting with what the server says of itself, as far as it does. Anything
     * but REDIS_FINE, with the reason in `why`, and the connection is given up and tried anew. */
    enum redis_trouble (*admit)(void *context, const struct redis_facts *facts, char why[REDIS_WHY_SIZE]);
    void (*on_state)(void *context, bool ready); /* may be NULL; runs on the loop, never inside redis_open() */
    void *context;
};
