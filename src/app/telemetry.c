#include "app/telemetry.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/settings.h"
#include "net/redis.h"

static const uint64_t bounds_ns[TELEMETRY_BUCKETS] = {
    50000,    100000,   250000,    500000,    1000000,    2500000,    5000000,
    10000000, 25000000, 100000000, 500000000, 1000000000, 5000000000, 30000000000,
};

void telemetry_observe(struct telemetry_histogram *histogram, uint64_t nanoseconds)
{
    size_t bucket = 0;
    while (bucket < TELEMETRY_BUCKETS && nanoseconds > bounds_ns[bucket]) {
        bucket++;
    }
    telemetry_add(&histogram->buckets[bucket], 1);
    telemetry_add(&histogram->sum_ns, nanoseconds);
}

bool telemetry_loops_turn(const struct telemetry *const *loops, size_t count, uint64_t now_ms, uint64_t allowed_ms)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t beat = telemetry_get(&loops[i]->heartbeat_ms);
        if (beat != 0 && now_ms > beat + allowed_ms) {
            return false;
        }
    }
    return true;
}

uint64_t telemetry_paused(const struct telemetry *const *loops, size_t count)
{
    uint64_t paused = 0;
    for (size_t i = 0; i < count; i++) {
        paused |= telemetry_get(&loops[i]->paused);
    }
    return paused;
}

enum redis_trouble telemetry_redis_trouble(const struct telemetry *const *loops, size_t count)
{
    uint64_t trouble = REDIS_FINE;
    for (size_t i = 0; i < count && trouble == REDIS_FINE; i++) {
        trouble = telemetry_get(&loops[i]->redis_trouble);
        trouble = trouble == REDIS_FINE ? telemetry_get(&loops[i]->reader_trouble) : trouble;
    }
    return (enum redis_trouble)trouble;
}

enum durability telemetry_durability(const struct telemetry *const *loops, size_t count)
{
    bool seen[DURABILITY_SOUND + 1] = {false};
    for (size_t i = 0; i < count; i++) {
        seen[telemetry_get(&loops[i]->durability)] = true;
    }
    return seen[DURABILITY_WEAK] ? DURABILITY_WEAK : seen[DURABILITY_UNKNOWN] ? DURABILITY_UNKNOWN : DURABILITY_SOUND;
}

enum database_state telemetry_database(const struct telemetry *const *loops, size_t count)
{
    uint64_t state = DATABASE_UNUSED;
    for (size_t i = 0; i < count && state == DATABASE_UNUSED; i++) {
        state = telemetry_get(&loops[i]->database);
    }
    return (enum database_state)state;
}

/* ---- rendering */

struct scrape {
    const struct telemetry *const *loops;
    size_t count;
    struct buffer *out;
};

static uint64_t sum(const struct scrape *scrape, size_t offset)
{
    uint64_t total = 0;
    for (size_t i = 0; i < scrape->count; i++) {
        total += telemetry_get((const _Atomic uint64_t *)(const void *)((const char *)scrape->loops[i] + offset));
    }
    return total;
}

static void head(const struct scrape *scrape, const char *name, const char *type, const char *help)
{
    buffer_append_format(scrape->out, "# HELP identihook_%s %s\n# TYPE identihook_%s %s\n", name, help, name, type);
}

static void single(const struct scrape *scrape, const char *name, const char *type, const char *help, size_t offset)
{
    head(scrape, name, type, help);
    buffer_append_format(scrape->out, "identihook_%s %" PRIu64 "\n", name, sum(scrape, offset));
}

/* One sample per element of an array of counters. */
static void labelled(const struct scrape *scrape, const char *name, const char *label, const char *const *values,
                     size_t count, size_t offset)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_format(scrape->out, "identihook_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, values[i],
                             sum(scrape, offset + i * sizeof(_Atomic uint64_t)));
    }
}

static void histogram(const struct scrape *scrape, const char *name, const char *help, size_t offset)
{
    uint64_t total = 0;
    head(scrape, name, "histogram", help);
    for (size_t i = 0; i <= TELEMETRY_BUCKETS; i++) {
        total += sum(scrape, offset + offsetof(struct telemetry_histogram, buckets) + i * sizeof(_Atomic uint64_t));
        if (i < TELEMETRY_BUCKETS) {
            buffer_append_format(scrape->out, "identihook_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                                 (double)bounds_ns[i] / 1e9, total);
        } else {
            buffer_append_format(scrape->out, "identihook_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, total);
        }
    }
    uint64_t sum_ns = sum(scrape, offset + offsetof(struct telemetry_histogram, sum_ns));
    buffer_append_format(scrape->out, "identihook_%s_sum %.9f\nidentihook_%s_count %" PRIu64 "\n", name,
                         (double)sum_ns / 1e9, name, total);
}

static void render_ingest(const struct scrape *scrape)
{
    const char *codes[ANSWERS];
    for (enum answer answer = 0; answer < ANSWERS; answer++) {
        codes[answer] = answer_kinds[answer].code;
    }
    head(scrape, "requests_total", "counter", "Requests to the webhook listener, by how they were answered.");
    labelled(scrape, "requests_total", "answer", codes, ANSWERS, offsetof(struct telemetry, answers));
    const char *causes[SIGNATURE_CAUSES];
    for (enum signature_cause cause = 0; cause < SIGNATURE_CAUSES; cause++) {
        causes[cause] = signature_cause_name(cause);
    }
    head(scrape, "signature_causes_total", "counter",
         "Refused signatures that were looked into, at most one a second of each code, by their likely cause.");
    labelled(scrape, "signature_causes_total", "cause", causes, SIGNATURE_CAUSES,
             offsetof(struct telemetry, signature_causes));
    histogram(scrape, "answer_duration_seconds", "From a whole request to its answer.",
              offsetof(struct telemetry, answer_time));
    histogram(scrape, "confirm_duration_seconds", "From handing an event to Redis to its confirmation.",
              offsetof(struct telemetry, confirm_time));
    single(scrape, "waiting_for_redis", "gauge", "Events that wait for Redis to confirm them.",
           offsetof(struct telemetry, waiting_for_redis));
}

static void render_work(const struct scrape *scrape)
{
    static const char *const sources[] = {"new", "due", "claimed"};
    static const char *const results[RESULTS] = {"done", "transient", "permanent"};
    static const char *const endings[ENDINGS] = {"done",        "superseded", "dead",    "retried", "held",
                                                 "handed_back", "lost",       "waiting", "settled"};
    head(scrape, "events_taken_total", "counter",
         "Events taken by workers: new, due for a retry, or claimed from a silent owner.");
    labelled(scrape, "events_taken_total", "source", sources, ARRAY_LENGTH(sources), offsetof(struct telemetry, taken));
    head(scrape, "fetches_total", "counter", "Reads of Stripe's API, by how they ended.");
    labelled(scrape, "fetches_total", "result", results, RESULTS, offsetof(struct telemetry, fetches));
    single(scrape, "fetches_spared_total", "counter",
           "Events that an answer to another one of their session has served.",
           offsetof(struct telemetry, fetches_spared));
    histogram(scrape, "fetch_duration_seconds", "How long reads of Stripe's API took.",
              offsetof(struct telemetry, fetch_time));
    head(scrape, "effects_total", "counter", "Effects run, by how they ended.");
    for (enum action action = 0; action < ACTIONS; action++) {
        for (size_t i = 0; i < RESULTS; i++) {
            size_t offset =
                offsetof(struct telemetry, effects) + ((size_t)action * RESULTS + i) * sizeof(_Atomic uint64_t);
            buffer_append_format(scrape->out, "identihook_effects_total{effect=\"%s\",result=\"%s\"} %" PRIu64 "\n",
                                 action_names[action], results[i], sum(scrape, offset));
        }
        buffer_append_format(scrape->out, "identihook_effects_total{effect=\"%s\",result=\"skipped\"} %" PRIu64 "\n",
                             action_names[action],
                             sum(scrape, offsetof(struct telemetry, skipped) + action * sizeof(_Atomic uint64_t)));
    }
    head(scrape, "events_ended_total", "counter", "How tries of events ended.");
    labelled(scrape, "events_ended_total", "ending", endings, ENDINGS, offsetof(struct telemetry, endings));
    static const char *const streams[TRIMMED] = {"events", "outcomes"};
    head(scrape, "entries_trimmed_total", "counter", "Entries taken out of Redis after they had ended, by stream.");
    labelled(scrape, "entries_trimmed_total", "stream", streams, TRIMMED, offsetof(struct telemetry, trimmed));
    single(scrape, "groups_stalled", "gauge",
           "Consumer groups of other services that do not acknowledge their entries.",
           offsetof(struct telemetry, groups_stalled));
    uint64_t paused = telemetry_paused(scrape->loops, scrape->count);
    head(scrape, "paused", "gauge", "Whether an operator has paused it.");
    buffer_append_format(scrape->out, "identihook_paused{what=\"processing\"} %d\n", (int)(paused & 1));
    for (enum action action = 0; action < ACTIONS; action++) {
        buffer_append_format(scrape->out, "identihook_paused{what=\"%s\"} %d\n", action_names[action],
                             (int)(paused >> (1 + action) & 1));
    }
    single(scrape, "events_in_process", "gauge", "Events in process now.", offsetof(struct telemetry, in_process));
}

static void render_breakers(const struct scrape *scrape)
{
    static const char *const services[BREAKERS] = {"stripe", "onboarding"};
    head(scrape, "breaker_open", "gauge",
         "Loops that hold back tries because the service has failed too often in a row.");
    labelled(scrape, "breaker_open", "service", services, BREAKERS, offsetof(struct telemetry, breakers_open));
    head(scrape, "breaker_opened_total", "counter", "How often a loop began to hold back tries.");
    labelled(scrape, "breaker_opened_total", "service", services, BREAKERS,
             offsetof(struct telemetry, breakers_opened));
}

static void render_reconcile(const struct scrape *scrape)
{
    static const char *const results[RESULTS] = {"done", "transient", "permanent"};
    static const char *const listed[LISTED] = {"received", "early", "missed", "unwanted", "unreadable"};
    head(scrape, "reconciles_total", "counter",
         "Comparisons of Stripe's list of events with what was received, by how they ended.");
    labelled(scrape, "reconciles_total", "result", results, RESULTS, offsetof(struct telemetry, reconciles));
    head(scrape, "reconciled_events_total", "counter",
         "Events in Stripe's list: received; early (Stripe may be about to deliver them) and missed, which were "
         "queued.");
    labelled(scrape, "reconciled_events_total", "found", listed, LISTED, offsetof(struct telemetry, listed));
    single(scrape, "reconciled_to_seconds", "gauge",
           "Up to which time (seconds since 1970) Stripe's list of events was compared, as far as this process knows.",
           offsetof(struct telemetry, reconciled_to));
}

static void render_redis(const struct scrape *scrape)
{
    single(scrape, "redis_connections_ready", "gauge", "Connections to Redis that events can be stored through.",
           offsetof(struct telemetry, redis_connections));
    head(scrape, "redis_ready", "gauge", "1 when Redis is of use to every loop.");
    buffer_append_format(scrape->out, "identihook_redis_ready %d\n",
                         telemetry_redis_trouble(scrape->loops, scrape->count) == REDIS_FINE);
    head(scrape, "redis_troubles_total", "counter",
         "How often connections to Redis failed or were refused, by reason.");
    for (enum redis_trouble trouble = REDIS_FINE + 1; trouble < REDIS_TROUBLES; trouble++) {
        buffer_append_format(scrape->out, "identihook_redis_troubles_total{trouble=\"%s\"} %" PRIu64 "\n",
                             redis_trouble_name(trouble), redis_troubles_met(trouble));
    }
    head(scrape, "redis_durability", "gauge",
         "1 for how safe what Redis confirms is: weak when events that were answered 200 could be lost.");
    for (enum durability durability = DURABILITY_UNKNOWN; durability <= DURABILITY_SOUND; durability++) {
        buffer_append_format(scrape->out, "identihook_redis_durability{durability=\"%s\"} %d\n",
                             durability_names[durability],
                             telemetry_durability(scrape->loops, scrape->count) == durability);
    }
    single(scrape, "reader_restarts_total", "counter", "Workers that should have been reading, and were made to.",
           offsetof(struct telemetry, reader_restarts));
    single(scrape, "group_losses_total", "counter", "How often the consumer group had vanished from Redis.",
           offsetof(struct telemetry, group_losses));
}

static void render_database(const struct scrape *scrape)
{
    enum database_state state = telemetry_database(scrape->loops, scrape->count);
    head(scrape, "postgres_ready", "gauge", "1 when PostgreSQL answers and has its tables; where rows are written.");
    if (state != DATABASE_UNUSED) {
        buffer_append_format(scrape->out, "identihook_postgres_ready %d\n", state == DATABASE_FINE);
    }
}

static void render_backlog(const struct scrape *scrape)
{
    static const char *const states[STATES] = {"unread", "in_process", "due", "retrying", "held", "dead"};
    head(scrape, "backlog_events", "gauge",
         "Events in Redis, of all processes: unread; in_process; due and retrying, before another try; held by a "
         "paused effect; dead. Every process tells the same: take the maximum.");
    labelled(scrape, "backlog_events", "state", states, STATES, offsetof(struct telemetry, backlog));
    head(scrape, "backlog_oldest_seconds", "gauge", "How long ago the oldest of them was received.");
    for (enum telemetry_state state = STATE_UNREAD; state <= STATE_IN_PROCESS; state++) {
        uint64_t age_ms = sum(scrape, offsetof(struct telemetry, backlog_age_ms) + state * sizeof(_Atomic uint64_t));
        buffer_append_format(scrape->out, "identihook_backlog_oldest_seconds{state=\"%s\"} %.3f\n", states[state],
                             (double)age_ms / 1000);
    }
}

void telemetry_render(const struct telemetry *const *loops, size_t count, struct buffer *out)
{
    struct scrape scrape = {.loops = loops, .count = count, .out = out};
    render_ingest(&scrape);
    render_work(&scrape);
    render_breakers(&scrape);
    render_reconcile(&scrape);
    render_redis(&scrape);
    render_database(&scrape);
    render_backlog(&scrape);
    head(&scrape, "loop_lag_seconds", "gauge", "How late each loop's last heartbeat was.");
    for (size_t i = 0; i < count; i++) {
        buffer_append_format(out, "identihook_loop_lag_seconds{loop=\"%zu\"} %.6f\n", i,
                             (double)telemetry_get(&loops[i]->lag_ns) / 1e9);
    }
}
