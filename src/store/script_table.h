#pragma once

#include "net/redis.h"

/* The store's Lua scripts (src/store/scripts), by their files' names: those that every connection loads, */
#define SCRIPTS_LOADED(X)                                                                                              \
    X(put)                                                                                                             \
    X(due)                                                                                                             \
    X(claim)                                                                                                           \
    X(renew)                                                                                                           \
    X(open)                                                                                                            \
    X(record)                                                                                                          \
    X(finish)                                                                                                          \
    X(retry)                                                                                                           \
    X(bury)                                                                                                            \
    X(surrender)                                                                                                       \
    X(trim)                                                                                                            \
    X(rate)

/* and those for operators, for creating sessions, and now and then: the first call sends the source. */
#define SCRIPTS_RARE(X)                                                                                                \
    X(rate_slow)                                                                                                       \
    X(backlog)                                                                                                         \
    X(pace)                                                                                                            \
    X(admit)                                                                                                           \
    X(enrol)                                                                                                           \
    X(note)                                                                                                            \
    X(rights)                                                                                                          \
    X(overview)                                                                                                        \
    X(search)                                                                                                          \
    X(trace)                                                                                                           \
    X(replay)                                                                                                          \
    X(control_pause)                                                                                                   \
    X(control_resume)                                                                                                  \
    X(hold)                                                                                                            \
    X(discard)                                                                                                         \
    X(watermark_begin)                                                                                                 \
    X(watermark_keep)                                                                                                  \
    X(turn_take)                                                                                                       \
    X(turn_give)                                                                                                       \
    X(erase)

#define SCRIPT_DECLARED(name) extern struct redis_script script_##name;
SCRIPTS_LOADED(SCRIPT_DECLARED)
SCRIPTS_RARE(SCRIPT_DECLARED)
#undef SCRIPT_DECLARED

/* Those to be loaded, ending with NULL; the digests of all are computed on the first call, in whichever thread that is.
 */
const struct redis_script *const *script_table(void);
