#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* What a Redis server says of itself: read from INFO and CONFIG GET as far as it lets us. Pure. {0} is "nothing is
 * known". */
enum redis_answer { REDIS_UNKNOWN, REDIS_NO, REDIS_YES };
enum redis_fsync { REDIS_FSYNC_UNKNOWN, REDIS_FSYNC_NO, REDIS_FSYNC_EVERYSEC, REDIS_FSYNC_ALWAYS };

struct redis_facts {
    char version[24];          /* as it says it, "7.0.15"; "" when unknown */
    unsigned version_number;   /* 7.0.15 is 70015; 0 when unknown */
    enum redis_answer replica; /* of another server */
    enum redis_answer cluster;
    enum redis_answer appends; /* appendonly */
    enum redis_fsync fsync;
    enum redis_answer evicts; /* there is a limit of memory, and a policy to throw keys away beyond it */
    char policy[24];          /* maxmemory-policy */
    bool told;                /* it answered INFO at all */
};

/* Reads the reply to INFO. */
void redis_facts_read_info(struct redis_facts *facts, struct text info);

/* Reads one name and value of the reply to CONFIG GET. */
void redis_facts_read_config(struct redis_facts *facts, struct text name, struct text value);
