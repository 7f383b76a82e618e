#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/telemetry.h"
#include "base/buffer.h"
#include "store/backlog.h"
#include "store/overview.h"

/*
 * The operator console as one page of HTML: no script, no form, nothing from elsewhere, its style inline and allowed by
 * its digest. Every value is escaped. No personal data, and no secrets. Pure but for the style's digest.
 */

/* What one look at the counters of this process gave. */
struct console_counts {
    uint64_t at_ms; /* monotonic */
    uint64_t answers[ANSWERS];
    uint64_t endings[ENDINGS];
    uint64_t fetches[RESULTS];
    uint64_t effects[ACTIONS][RESULTS];
    uint64_t breakers_open[BREAKERS];
    uint64_t in_process;
};

struct console_view {
    int64_t now_ms; /* wall clock */
    uint64_t uptime_ms;
    const char *role;
    const char *namespace;
    bool loops_turn;
    bool draining;
    enum redis_trouble trouble; /* of this process's connections */
    enum durability durability;
    enum database_state database;
    struct console_counts counts;
    struct console_counts before; /* an earlier look, for rates; at_ms 0: there is none */
    struct text backlog;          /* what the two below have written; empty: Redis did not answer */
    struct text overview;
};

/* Sums up what `count` loops have counted. */
void console_count(const struct telemetry *const *loops, size_t count, struct console_counts *counts);

/* The parts that Redis knows of. */
void console_write_backlog(struct buffer *out, const struct backlog *backlog);
void console_write_overview(struct buffer *out, const struct overview *overview);

void console_write_page(struct buffer *out, const struct console_view *view);

/* The headers that go with every page, for struct http_answer. */
struct text console_headers(void);
