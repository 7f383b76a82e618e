#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A circuit breaker: spares a service that is down the tries of all who wait for it, and them a try that counts.
 *
 *              `faults` in a row                  the pause is over
 *     CLOSED ────────────────────▶ OPEN ─────────────────────────────▶ HALF_OPEN
 *        ▲                          ▲                                      │ one at a time is let through
 *        └──────── success ─────────┼───────────── fault: a longer pause ──┤
 *        ▲                          └──────────────────────────────────────┤
 *        └──────────────────────────────────────────────── success ────────┘
 *
 * Whoever wants to try asks first, and tells afterwards how it went. Pure: time comes in, in ms, and never goes back.
 */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_limits {
    unsigned faults;        /* in a row, at least 1 */
    uint64_t pause_ms;      /* the first one, at least 1; doubles with each probe that fails */
    uint64_t pause_most_ms; /* the longest one */
};

/* {0} is a new one, closed. */
struct breaker {
    enum breaker_state state;
    unsigned faults; /* in a row */
    uint64_t pause_ms;
    uint64_t until_ms; /* OPEN: the pause's end */
    bool probing;      /* HALF_OPEN: one is under way */
};

enum breaker_news {
    BREAKER_SUCCESS, /* the service answered as it should, if only that it will not do this one thing */
    BREAKER_FAULT,   /* it did not answer, or not for any of us */
    BREAKER_UNKNOWN, /* the try was given up, or says nothing about the service */
};

/*
 * Whether a try may begin now; whoever may must tell. When not, *wait_ms is when to ask again, at the latest: a probe
 * that is under way may end sooner.
 */
bool breaker_ask(struct breaker *breaker, uint64_t now_ms, uint64_t *wait_ms);

/* How the try went. True: with that the breaker has changed between open and closed. */
bool breaker_tell(struct breaker *breaker, const struct breaker_limits *limits, uint64_t now_ms,
                  enum breaker_news news);

/* Not closed: tries are held back. */
static inline bool breaker_is_open(const struct breaker *breaker)
{
    return breaker->state != BREAKER_CLOSED;
}
