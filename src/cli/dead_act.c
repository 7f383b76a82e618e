#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/actor.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/dead.h"
#include "cli/report.h"
#include "cli/walk.h"
#include "store/dead.h"
#include "stripe/api.h"
#include "stripe/session.h"

/*
 * Replays or discards dead letters one by one, each in one script: broken off at any moment, what was done is done, and
 * the rest is untouched. Letters that die again meanwhile are not met again: the walk ends at the youngest of its
 * start.
 */
#define SENSITIVE_READABLE_S (API_SENSITIVE_HOURS * INT64_C(3600))

struct wording {
    const char *verb; /* "replay" */
    const char *done; /* "replayed" */
    const char *dry;  /* "would be replayed" */
};

static const struct wording wordings[] = {
    [DEAD_REPLAY] = {"replay", "replayed", "would be replayed"},
    [DEAD_DISCARD] = {"discard", "discarded", "would be discarded"},
};

struct acting {
    const struct settings *settings;
    const struct arguments *arguments;
    const struct wording *words;
    struct errand errand;
    struct dead_choice choice;
    struct dead_act_options options;
    struct dead_call call;
    char by[ACTOR_SIZE];
    uint64_t interval_ms; /* between two letters; 0: at once */
    bool json;
    bool dry_run;
    bool answered;
    bool failed;
    char entry[WALK_ID_SIZE]; /* the answer of the call */
    size_t count;
    size_t gone;       /* somebody else was first */
    size_t missing;    /* were named, and are no dead letters */
    size_t unreadable; /* of which Stripe may refuse what is sensitive by now */
    struct buffer out;
};

/* ---- telling */

static void tell_one(struct acting *acting, const struct record *record)
{
    struct buffer *out = &acting->out;
    if (acting->json) {
        buffer_append_string(out, acting->count > 1 ? ",\n" : "");
        buffer_append_byte(out, '{');
        report_json_text(out, "id", record->id);
        report_json_text(out, "event", record_value(record, "event"));
        report_json_text(out, "session", record_value(record, "session"));
        if (!acting->dry_run && acting->options.act == DEAD_REPLAY) {
            report_json_text(out, "entry", text_of(acting->entry));
        }
        buffer_append_byte(out, '}');
        return;
    }
    report_text(out, record_value(record, "event"));
    buffer_append_string(out, "  ");
    report_text(out, record_value(record, "session"));
    buffer_append_format(out, "  %s", acting->dry_run ? acting->words->dry : acting->words->done);
    if (!acting->dry_run && acting->options.act == DEAD_REPLAY) {
        buffer_append_format(out, " as %s", acting->entry);
    }
    buffer_append_byte(out, '\n');
    acting->failed = !report_print(out) || acting->failed;
}

static void summarise(const struct acting *acting)
{
    (void)fprintf(stderr, "identihook: %zu %s", acting->count,
                  acting->dry_run ? acting->words->dry : acting->words->done);
    if (acting->gone > 0) {
        (void)fprintf(stderr, ", %zu had gone meanwhile", acting->gone);
    }
    (void)fputs("\n", stderr);
    if (acting->unreadable > 0) {
        (void)fprintf(
            stderr,
            "identihook: %zu of them are older than 48 hours: Stripe gives dob, id_number and sex of such "
            "sessions only to a restricted key that is bound to IP addresses; with another key they die again\n",
            acting->unreadable);
    }
}

static void print_json(struct acting *acting)
{
    buffer_append_byte(&acting->out, ']');
    report_json_number(&acting->out, "gone", (int64_t)acting->gone);
    report_json_number(&acting->out, "missing", (int64_t)acting->missing);
    report_json_bool(&acting->out, "dry_run", acting->dry_run);
    buffer_append_string(&acting->out, "}\n");
    acting->failed = !report_print(&acting->out) || acting->failed;
}

/* ---- one letter */

static void on_act(struct dead_call *call, struct text entry, const char *error)
{
    struct acting *acting = CONTAINER_OF(call, struct acting, call);
    acting->answered = true;
    (void)snprintf(acting->entry, sizeof(acting->entry), "%.*s", TEXT_ARGUMENTS(entry));
    if (error) {
        acting->failed = true;
        (void)errand_fault(error);
        (void)fputs("identihook: stopped there; it may be run again, for nothing is done twice\n", stderr);
    }
}

static bool wants_sensitive(const struct settings *settings)
{
    for (enum verified_output output = 0; output < OUTPUTS; output++) {
        if (settings->verified_outputs & (1u << output) && verified_output_is_sensitive(output)) {
            return true;
        }
    }
    return false;
}

static bool may_be_unreadable(const struct acting *acting, const struct record *record)
{
    int64_t created = record_number(record, "created");
    return acting->options.act == DEAD_REPLAY && wants_sensitive(acting->settings) && created > 0 &&
           clock_wall_seconds() - created > SENSITIVE_READABLE_S;
}

/* True when the letter was there. */
static bool perform(struct acting *acting, const struct record *record)
{
    acting->options.letter = record->id;
    acting->options.event = record_value(record, "event");
    acting->answered = false;
    acting->call.callback = on_act;
    int status = dead_act_start(acting->errand.queue, &acting->call, &acting->options);
    if (!errand_asked(&acting->errand, status, &acting->answered)) {
        acting->failed = true;
    }
    return !acting->failed && acting->entry[0] != '\0';
}

static void act_on(struct acting *acting, const struct record *record)
{
    if (acting->dry_run || perform(acting, record)) {
        acting->count++;
        acting->unreadable += may_be_unreadable(acting, record) ? 1 : 0;
        tell_one(acting, record);
    } else if (!acting->failed) {
        acting->gone++;
    }
    if (!acting->dry_run && !acting->failed) {
        errand_sleep(&acting->errand, acting->interval_ms);
    }
}

/* ---- those that are meant */

/* How many there were. */
static size_t act_on_all(struct acting *acting, const struct search_query *query)
{
    struct walk walk;
    struct record *record;
    enum walk_step step = WALK_END;
    size_t met = 0;
    walk_begin(&walk, &acting->errand, query, 0);
    while (!acting->failed && (step = walk_next(&walk, &record)) == WALK_RECORD) {
        met++;
        act_on(acting, record);
        free(record);
    }
    walk_end(&walk);
    acting->failed = acting->failed || step == WALK_FAILED;
    return met;
}

static void act_on_named(struct acting *acting, const char *id)
{
    struct search_query query;
    dead_query_of(id, &query);
    if (act_on_all(acting, &query) == 0 && !acting->failed) {
        (void)fprintf(stderr, "identihook: %s is not among the dead letters\n", id);
        acting->missing++;
    }
}

/* Ends the choice at the letter that is the youngest now. False: there is none. */
static bool end_at_youngest(struct acting *acting)
{
    struct walk walk;
    struct record *record;
    struct search_query query = {.stream = SEARCH_DEAD, .newest_first = true, .from = "+", .to = "-", .give = 1};
    walk_begin(&walk, &acting->errand, &query, 0);
    enum walk_step step = walk_next(&walk, &record);
    acting->failed = step == WALK_FAILED;
    if (step == WALK_RECORD) {
        bool open = strcmp(acting->choice.to, "+") == 0 || strtoll(acting->choice.to, NULL, 10) >= record_time(record);
        if (open) {
            (void)snprintf(acting->choice.to, sizeof(acting->choice.to), "%.*s", TEXT_ARGUMENTS(record->id));
        }
        free(record);
    }
    walk_end(&walk);
    return step == WALK_RECORD;
}

static void act_on_chosen(struct acting *acting)
{
    acting->choice.query.give = SEARCH_LOOK_MAXIMUM;
    if (end_at_youngest(acting)) {
        (void)act_on_all(acting, &acting->choice.query);
    }
}

static int run(struct acting *acting)
{
    int status = errand_open(&acting->errand, acting->settings, "identihook-dead");
    if (status != 0) {
        return status;
    }
    if (acting->json) {
        buffer_append_format(&acting->out, "{\"%s\":[", acting->words->done);
    }
    if (acting->arguments->positional_count == 0) {
        act_on_chosen(acting);
    }
    for (size_t i = 0; i < acting->arguments->positional_count && !acting->failed; i++) {
        act_on_named(acting, acting->arguments->positional[i]);
    }
    errand_close(&acting->errand);
    if (acting->json) {
        print_json(acting); /* also after a failure: what was done was done */
    }
    summarise(acting);
    buffer_free(&acting->out);
    return acting->failed || acting->missing > 0 ? COMMAND_FAILED : COMMAND_DONE;
}

/* ---- the command line */

static int read_scope(struct acting *acting)
{
    const struct arguments *arguments = acting->arguments;
    bool all = arguments_value(arguments, "all") != NULL;
    if (dead_choose(&acting->choice, arguments, NULL) != 0) {
        return COMMAND_USAGE;
    }
    if (arguments->positional_count > 0 && (all || acting->choice.filtered)) {
        return arguments_fault(arguments, "name letters, or choose them by --all or a filter, not both");
    }
    if (all && acting->choice.filtered) {
        return arguments_fault(arguments, "--all is all of them: a filter has no use beside it");
    }
    if (arguments->positional_count == 0 && !all && !acting->choice.filtered) {
        return arguments_fault(arguments,
                               "say which ones: evt_… or ids of dead list, a filter such as --with-reason, or --all");
    }
    for (size_t i = 0; i < arguments->positional_count; i++) {
        if (!dead_is_id(arguments->positional[i])) {
            return arguments_fault(arguments, "'%s' is neither an event's id nor one of dead list",
                                   arguments->positional[i]);
        }
    }
    return 0;
}

static int read_rate(struct acting *acting)
{
    const char *text = arguments_value(acting->arguments, "rate");
    uint64_t per_minute;
    if (text && (units_parse_rate(text_of(text), &per_minute) < 0 || per_minute == 0)) {
        return arguments_fault(acting->arguments, "--rate takes a rate such as 5/s or 30/m, not '%s'", text);
    }
    acting->interval_ms = text ? 60000 / per_minute : 0;
    return 0;
}

static int act(const struct arguments *arguments, enum dead_act what)
{
    struct settings settings;
    struct acting acting = {
        .settings = &settings,
        .arguments = arguments,
        .words = &wordings[what],
        .json = arguments_value(arguments, "json") != NULL,
        .dry_run = arguments_value(arguments, "dry-run") != NULL,
    };
    const char *reason = arguments_value(arguments, "reason");
    actor_name(acting.by);
    acting.options = (struct dead_act_options){.act = what, .by = acting.by, .reason = reason ? reason : ""};
    if (read_scope(&acting) != 0 || read_rate(&acting) != 0) {
        return COMMAND_USAGE;
    }
    int status = configuration_load(&settings, 0, arguments->env_file);
    status = status == 0 ? run(&acting) : status;
    settings_free(&settings);
    return status;
}

static int parse_and_act(int argc, char **argv, struct arguments *arguments, enum dead_act what)
{
    const struct argument own[] = {
        {.name = "all", .help = "all dead letters"},
        {.name = "reason", .value_name = "TEXT", .help = "why you do this; kept with your name in {ns}:acts"},
        {.name = "rate", .value_name = "N/s", .help = "not faster than this; by default without a pause"},
        {.name = "dry-run", .help = "only tell which ones it would be"},
        {.name = "json", .help = "as one JSON object"},
        {.name = NULL},
    };
    struct argument options[DEAD_OPTIONS_MAXIMUM];
    dead_options(options, own);
    arguments->options = options;
    int status = arguments_parse(arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    return act(arguments, what);
}

int dead_replay_run(int argc, char **argv)
{
    struct arguments arguments = {
        .usage = "identihook dead replay ID…|--all|FILTERS [--reason TEXT] [--rate N/s] [--dry-run] [--json]",
        .description =
            "Puts dead letters back into the stream. Effects that are done are not repeated; those that failed are "
            "tried\n"
            "again, with a fresh count of tries. Other consumer groups of the stream see the event once more.\n"
            "ID is an event's (evt_…) or a letter's own. Two who replay one letter at once replay it once.",
        .positional_maximum = SIZE_MAX,
    };
    return parse_and_act(argc, argv, &arguments, DEAD_REPLAY);
}

int dead_discard_run(int argc, char **argv)
{
    struct arguments arguments = {
        .usage = "identihook dead discard ID…|--all|FILTERS [--reason TEXT] [--rate N/s] [--dry-run] [--json]",
        .description =
            "Throws dead letters away, for good. A resend of such an event by Stripe counts as a duplicate.\n"
            "ID is an event's (evt_…) or a letter's own.",
        .positional_maximum = SIZE_MAX,
    };
    return parse_and_act(argc, argv, &arguments, DEAD_DISCARD);
}
