#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/answer.h"
#include "app/database_state.h"
#include "base/buffer.h"
#include "core/job.h"
#include "net/redis_trouble.h"
#include "store/durability.h"
#include "stripe/signature_help.h"

/*
 * What one loop counts. Each loop writes its own, without locks, and the admin listener adds them up: a counter has one
 * writer, so an increment is a load and a store.
 */
enum telemetry_result { RESULT_DONE, RESULT_TRANSIENT, RESULT_PERMANENT, RESULTS };
enum telemetry_ending {
    ENDING_DONE,
    ENDING_SUPERSEDED,
    ENDING_DEAD,
    ENDING_RETRIED,
    ENDING_HELD,
    ENDING_HANDED_BACK,
    ENDING_LOST,
    ENDING_WAITING, /* for its session's turn */
    ENDING_SETTLED, /* it had been finished before */
    ENDINGS
};

/* What Stripe's list of events has, compared with what was received. */
enum telemetry_listed {
    LISTED_RECEIVED,   /* it was received */
    LISTED_EARLY,      /* it was not, but is so young that Stripe may be about to deliver it: queued all the same */
    LISTED_MISSED,     /* it was not received: queued now */
    LISTED_UNWANTED,   /* of a kind or mode that is not selected */
    LISTED_UNREADABLE, /* no event as identihook knows them */
    LISTED
};

enum telemetry_trimmed { TRIMMED_EVENTS, TRIMMED_OUTCOMES, TRIMMED };
enum telemetry_breaker { BREAKER_OF_STRIPE, BREAKER_OF_ONBOARDING, BREAKERS };

/* Where events wait in Redis. */
enum telemetry_state {
    STATE_UNREAD,
    STATE_IN_PROCESS,
    STATE_DUE,      /* for another try, which nobody has begun yet */
    STATE_RETRYING, /* for the time of another try, or for their session's turn */
    STATE_HELD,     /* for a paused effect */
    STATE_DEAD,
    STATES
};

#define TELEMETRY_BUCKETS 14

struct telemetry_histogram {
    _Atomic uint64_t buckets[TELEMETRY_BUCKETS + 1]; /* the last one: beyond all bounds */
    _Atomic uint64_t sum_ns;
};

struct telemetry {
    _Atomic uint64_t answers[ANSWERS];
    _Atomic uint64_t signature_causes[SIGNATURE_CAUSES]; /* of those refusals that were looked into */
    struct telemetry_histogram answer_time;              /* request complete to answer written */
    struct telemetry_histogram confirm_time;             /* event handed to Redis to its confirmation */
    _Atomic uint64_t taken[3];                           /* by enum inbox_source */
    _Atomic uint64_t fetches[RESULTS];
    _Atomic uint64_t fetches_spared; /* one answer served two events */
    struct telemetry_histogram fetch_time;
    _Atomic uint64_t effects[JOB_EFFECTS_MAXIMUM][RESULTS]; /* by enum action */
    _Atomic uint64_t skipped[JOB_EFFECTS_MAXIMUM];          /* by enum action */
    _Atomic uint64_t endings[ENDINGS];
    _Atomic uint64_t breakers_open[BREAKERS]; /* 0 or 1, now */
    _Atomic uint64_t breakers_opened[BREAKERS];
    _Atomic uint64_t reconciles[RESULTS];
    _Atomic uint64_t listed[LISTED];
    _Atomic uint64_t reconciled_to;          /* seconds since 1970; 0: not known */
    _Atomic uint64_t trimmed[TRIMMED];       /* entries taken away, by stream */
    _Atomic uint64_t groups_stalled;         /* now; 0 in all loops but the one that looks */
    _Atomic uint64_t backlog[STATES];        /* events in Redis, now; 0 in all loops but the one that looks */
    _Atomic uint64_t backlog_age_ms[STATES]; /* of the oldest; where it is known */
    _Atomic uint64_t in_process;             /* now */
    _Atomic uint64_t paused;                 /* now: bit 0 processing, bit 1 + N effect N of enum action */
    _Atomic uint64_t redis_trouble;          /* enum redis_trouble, now: of the first connection that stores events */
    _Atomic uint64_t reader_trouble;         /* of the one that reads them */
    _Atomic uint64_t reader_restarts;        /* by the watchdog */
    _Atomic uint64_t group_losses;           /* how often the consumer group had vanished */
    _Atomic uint64_t redis_connections;      /* that are ready, at the last heartbeat */
    _Atomic uint64_t waiting_for_redis;      /* events, now */
    _Atomic uint64_t heartbeat_ms;           /* monotonic; when the loop last turned. 0: not yet, or it has ended */
    _Atomic uint64_t lag_ns;                 /* how late the last heartbeat was */
    _Atomic uint64_t durability;             /* enum durability of what Redis confirms */
    _Atomic uint64_t database;               /* enum database_state; unused in all loops but the one that looks */
};

static inline void telemetry_add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

static inline void telemetry_set(_Atomic uint64_t *gauge, uint64_t value)
{
    atomic_store_explicit(gauge, value, memory_order_relaxed);
}

static inline uint64_t telemetry_get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

void telemetry_observe(struct telemetry_histogram *histogram, uint64_t nanoseconds);

/* False when one of `count` loops has not turned for `allowed_ms`; one that has not begun or has ended does not count.
 */
bool telemetry_loops_turn(const struct telemetry *const *loops, size_t count, uint64_t now_ms, uint64_t allowed_ms);

/* What is paused, as any of `count` loops knows: bits as above. */
uint64_t telemetry_paused(const struct telemetry *const *loops, size_t count);

/* What keeps Redis from being of use to one of the loops; REDIS_FINE: nothing does. */
enum redis_trouble telemetry_redis_trouble(const struct telemetry *const *loops, size_t count);

/* The least that one of them was told; DURABILITY_WEAK is less than unknown. */
enum durability telemetry_durability(const struct telemetry *const *loops, size_t count);

/* How PostgreSQL is, as the loop that looks knows it. */
enum database_state telemetry_database(const struct telemetry *const *loops, size_t count);

/* Appends the sum of `count` loops' figures in Prometheus's text format. */
void telemetry_render(const struct telemetry *const *loops, size_t count, struct buffer *out);
