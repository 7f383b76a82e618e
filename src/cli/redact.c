#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "app/database.h"
#include "base/clock.h"
#include "base/random.h"
#include "cli/actor.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/errand.h"
#include "cli/report.h"
#include "store/erasure.h"
#include "store/verification.h"

/*
 * Erases the row in PostgreSQL, which then takes nothing any more, then what Redis holds, under the session's turn, so
 * that no event of it which is in process brings anything back; and writes down who did it. Broken off, it is to be run
 * again.
 */
#define BUSY_INTERVAL_MS 200
#define BUSY_MAXIMUM_MS 60000

struct redaction {
    struct settings settings;
    struct text session;
    const char *reason;
    bool dry_run;
    bool json;
    struct errand errand;
    struct erasure erasure;
    struct postgres *postgres;
    struct verification_call row_call;
    struct redis_call act_call;
    bool answered;
    bool failed;
    enum erasure_outcome outcome;
    int64_t rows;
    int64_t ledger_rows;
    char owner[64];
    char by[ACTOR_SIZE];
};

static void turn_until(struct redaction *redaction, const bool *condition)
{
    while (!*condition && uv_run(&redaction->errand.loop, UV_RUN_ONCE) != 0) {
    }
}

/* ---- Redis */

static void on_erased(struct erasure *erasure, enum erasure_outcome outcome)
{
    struct redaction *redaction = CONTAINER_OF(erasure, struct redaction, erasure);
    redaction->outcome = outcome;
    redaction->answered = true;
}

static void erase_once(struct redaction *redaction)
{
    struct erasure_options options = {
        .session = redaction->session,
        .owner = redaction->owner,
        .claim_after_ms = redaction->settings.claim_after_ms,
        .dry_run = redaction->dry_run,
    };
    redaction->answered = false;
    redaction->erasure.callback = on_erased;
    if (erasure_start(redaction->errand.queue, &redaction->erasure, &options) < 0) {
        redaction->outcome = ERASURE_BROKEN;
        redaction->erasure.error = "";
        return;
    }
    turn_until(redaction, &redaction->answered); /* every answer of Redis has a deadline */
}

static void erase_in_redis(struct redaction *redaction)
{
    uint64_t end = clock_monotonic_ms() + BUSY_MAXIMUM_MS;
    erase_once(redaction);
    while (redaction->outcome == ERASURE_BUSY && clock_monotonic_ms() < end) {
        errand_sleep(&redaction->errand, BUSY_INTERVAL_MS);
        erase_once(redaction);
    }
    redaction->failed = redaction->outcome != ERASURE_DONE;
    if (redaction->outcome == ERASURE_BUSY) {
        (void)fputs(
            "identihook: an event of the session has been in process all the time: look at 'identihook explain', "
            "and try again\n",
            stderr);
    } else if (redaction->failed) {
        (void)errand_fault(redaction->erasure.error);
    }
}

/* ---- PostgreSQL */

static void on_row(struct verification_call *call, const struct verification_result *result)
{
    struct redaction *redaction = CONTAINER_OF(call, struct redaction, row_call);
    redaction->answered = true;
    redaction->rows = result->rows;
    redaction->ledger_rows = result->ledger_rows;
    if (result->outcome == VERIFICATION_REFUSED || result->outcome == VERIFICATION_DEFERRED) {
        redaction->failed = true;
        (void)fprintf(stderr, "identihook: the row could not be erased: %s\n", result->error);
    }
}

static void on_closed(void *context)
{
    struct redaction *redaction = context;
    redaction->postgres = NULL;
    redaction->answered = true;
}

static void erase_row(struct redaction *redaction)
{
    if (!secret_is_set(&redaction->settings.database_url)) {
        (void)fputs("identihook: DATABASE_URL is not set: PostgreSQL was not looked at\n", stderr);
        return;
    }
    redaction->failed = true; /* until there is an answer */
    if (configuration_open_postgres() != 0 ||
        database_open(&redaction->errand.loop, &redaction->settings, 1, &redaction->postgres) < 0) {
        return;
    }
    int (*ask)(struct postgres *, struct verification_call *, struct text) =
        redaction->dry_run ? verification_find : verification_erase;
    redaction->row_call.callback = on_row;
    redaction->answered = false;
    if (ask(redaction->postgres, &redaction->row_call, redaction->session) == 0) {
        redaction->failed = false;
        turn_until(redaction, &redaction->answered);
    }
    redaction->answered = false;
    postgres_close(redaction->postgres, on_closed, redaction);
    turn_until(redaction, &redaction->answered);
}

/* ---- the record of it */

static void on_written(struct redis_call *call, const struct redisReply *reply)
{
    struct redaction *redaction = CONTAINER_OF(call, struct redaction, act_call);
    redaction->answered = true;
    redaction->failed = redaction->failed || !reply;
}

static void write_down(struct redaction *redaction)
{
    char now[24];
    (void)snprintf(now, sizeof(now), "%" PRId64, clock_wall_ms());
    struct text arguments[] = {
        TEXT("XADD"),
        text_of(queue_keys(redaction->errand.queue)->acts),
        TEXT("*"),
        TEXT("act"),
        TEXT("redact"),
        TEXT("by"),
        text_of(redaction->by),
        TEXT("reason"),
        text_of(redaction->reason),
        TEXT("session"),
        redaction->session,
        TEXT("at_ms"),
        text_of(now),
    };
    redaction->answered = false;
    redaction->act_call.callback = on_written;
    int status =
        redis_command(queue_redis(redaction->errand.queue), &redaction->act_call, ARRAY_LENGTH(arguments), arguments);
    if (!errand_asked(&redaction->errand, status, &redaction->answered)) {
        redaction->failed = true;
    }
}

/* ---- telling */

static void tell(const struct redaction *redaction)
{
    static const struct {
        enum search_stream stream;
        const char *name;
    } streams[] = {
        {SEARCH_EVENTS, "events"}, {SEARCH_DEAD, "dead"}, {SEARCH_OUTCOMES, "outcomes"}, {SEARCH_ACTS, "acts"}};
    struct buffer out = {0};
    buffer_append_byte(&out, '{');
    report_json_text(&out, "session", redaction->session);
    report_json_bool(&out, "erased", !redaction->dry_run);
    for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
        report_json_number(&out, streams[i].name, (int64_t)redaction->erasure.erased[streams[i].stream]);
    }
    report_json_number(&out, "rows", redaction->rows);
    report_json_number(&out, "ledger_rows", redaction->ledger_rows);
    buffer_append_string(&out, "}\n");
    if (!redaction->json) {
        buffer_clear(&out);
        buffer_append_format(&out, "%.*s: %s\n", TEXT_ARGUMENTS(redaction->session),
                             redaction->dry_run ? "would be erased" : "erased");
        for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
            buffer_append_format(&out, "  %8" PRIu64 " of {ns}:%s\n", redaction->erasure.erased[streams[i].stream],
                                 streams[i].name);
        }
        buffer_append_format(&out, "  %8" PRId64 " of identity_verifications\n  %8" PRId64 " of identihook_effects\n",
                             redaction->rows, redaction->ledger_rows);
    }
    (void)report_print(&out);
    buffer_free(&out);
}

/* ---- the command */

static int redact(struct redaction *redaction)
{
    char unique[9];
    random_hex(unique, 8);
    (void)snprintf(redaction->owner, sizeof(redaction->owner), "redact-%s", unique);
    actor_name(redaction->by);
    int status = errand_open(&redaction->errand, &redaction->settings, "identihook-redact");
    if (status != 0) {
        return status;
    }
    erase_row(redaction);
    if (!redaction->failed) {
        erase_in_redis(redaction);
    }
    if (!redaction->failed && !redaction->dry_run) {
        write_down(redaction);
    }
    errand_close(&redaction->errand);
    if (redaction->failed) {
        return COMMAND_FAILED;
    }
    tell(redaction);
    return COMMAND_DONE;
}

static int check(const struct arguments *arguments, struct redaction *redaction)
{
    bool yes = arguments_value(arguments, "yes") != NULL;
    const char *reason = arguments_value(arguments, "reason");
    redaction->dry_run = arguments_value(arguments, "dry-run") != NULL;
    redaction->json = arguments_value(arguments, "json") != NULL;
    redaction->reason = reason ? reason : "";
    redaction->session = text_of(arguments->positional_count > 0 ? arguments->positional[0] : NULL);
    if (!event_is_session_id(redaction->session)) {
        return arguments_fault(arguments, "name the session: vs_…");
    }
    if (yes && redaction->dry_run) {
        return arguments_fault(arguments, "--yes and --dry-run are each other's opposite");
    }
    if (!yes && !redaction->dry_run && isatty(STDIN_FILENO)) {
        return arguments_fault(arguments, "it cannot be undone: --dry-run shows what would go, --yes does it");
    }
    return 0;
}

int redact_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "yes", .help = "do it, which cannot be undone; a terminal must say so, a script need not"},
        {.name = "dry-run", .help = "only count what would be erased"},
        {.name = "reason",
         .value_name = "TEXT",
         .help = "why you do this; kept with your name in {ns}:acts: nothing personal"},
        {.name = "json", .help = "as one JSON object"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook redact vs_… [--yes|--dry-run] [--reason TEXT] [--json]",
        .description = "Erases all that is held here about a session: its events in the stream, for every consumer "
                       "group, whether\n"
                       "carried out or not, retries, dead letters, outcomes, ledgers, frozen mails, and what is "
                       "personal in its row.\n"
                       "It does not redact the session at Stripe: do that first, so that nothing comes anew. Nor does "
                       "it reach what\n"
                       "other services have read, backups, or Redis's and PostgreSQL's logs: BGREWRITEAOF and VACUUM "
                       "do the latter.",
        .options = options,
        .positional_maximum = 1,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    struct redaction redaction = {.failed = false};
    if (check(&arguments, &redaction) != 0) {
        return COMMAND_USAGE;
    }
    status = configuration_load(&redaction.settings, 0, arguments.env_file);
    status = status == 0 ? redact(&redaction) : status;
    settings_free(&redaction.settings);
    return status;
}
