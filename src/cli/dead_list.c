#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/dead.h"
#include "cli/report.h"
#include "cli/walk.h"

/* Lists dead letters by what is no personal data. */
struct listing {
    struct buffer out;
    bool json;
    int64_t limit;
    int64_t count;
    char last[WALK_ID_SIZE]; /* the id of the one that was listed last */
    bool more;
};

static void list_as_text(struct buffer *out, const struct record *record, int64_t now)
{
    int64_t died = record_number(record, "failed_ms");
    int64_t tries = record_number(record, "attempts");
    report_text(out, record->id);
    buffer_append_string(out, "  ");
    report_text(out, record_value(record, "event"));
    buffer_append_string(out, "  ");
    report_text(out, record_value(record, "type"));
    buffer_append_string(out, "  ");
    report_text(out, record_value(record, "session"));
    buffer_append_string(out, "\n    died ");
    report_time(out, died);
    if (died >= 0 && died <= now) {
        buffer_append_string(out, ", ");
        report_span(out, now - died);
        buffer_append_string(out, " ago");
    }
    buffer_append_format(out, ", %" PRId64 " %s\n    ", tries, tries == 1 ? "try" : "tries");
    report_text(out, record_value(record, "reason"));
    buffer_append_string(out, ": ");
    report_text(out, record_value(record, "error"));
    buffer_append_string(out, "\n");
}

void dead_write_json(struct buffer *out, const struct record *record)
{
    static const char *const texts[] = {"event", "type", "session", "account", "api_version", "reason", "error"};
    static const char *const numbers[] = {"created", "received_ms", "attempts", "failed_ms"};
    buffer_append_byte(out, '{');
    report_json_text(out, "id", record->id);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        report_json_text(out, texts[i], record_value(record, texts[i]));
    }
    report_json_bool(out, "livemode", text_equal(record_value(record, "livemode"), TEXT("true")));
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        report_json_number(out, numbers[i], record_number(record, numbers[i]));
    }
}

static void list_one(struct listing *listing, const struct record *record)
{
    if (listing->json) {
        buffer_append_string(&listing->out, listing->count > 0 ? ",\n" : "");
        dead_write_json(&listing->out, record);
        buffer_append_byte(&listing->out, '}');
    } else {
        list_as_text(&listing->out, record, clock_wall_ms());
    }
    listing->count++;
    (void)snprintf(listing->last, sizeof(listing->last), "%.*s", TEXT_ARGUMENTS(record->id));
}

/* One more than the limit is looked for, to know whether there are more. */
static int list_all(struct listing *listing, struct walk *walk)
{
    struct record *record;
    enum walk_step step = WALK_END;
    while (!listing->more && (step = walk_next(walk, &record)) == WALK_RECORD) {
        listing->more = listing->count == listing->limit;
        if (!listing->more) {
            list_one(listing, record);
        }
        free(record);
    }
    return step == WALK_FAILED ? COMMAND_FAILED : COMMAND_DONE;
}

static int print_listing(struct listing *listing)
{
    bool written;
    if (listing->json) {
        buffer_append_string(&listing->out, "],\"next\":");
        buffer_append_format(&listing->out, listing->more ? "\"%s\"}\n" : "null}\n", listing->last);
        return report_print(&listing->out) ? COMMAND_DONE : COMMAND_FAILED;
    }
    written = report_print(&listing->out);
    if (listing->count == 0) {
        (void)fputs("identihook: no dead letters fit\n", stderr);
    } else if (listing->more) {
        (void)fprintf(stderr, "identihook: there are more: --after %s\n", listing->last);
    }
    return written ? COMMAND_DONE : COMMAND_FAILED;
}

static int list(const struct settings *settings, struct dead_choice *choice, struct listing *listing)
{
    struct errand errand;
    struct walk walk;
    int status = errand_open(&errand, settings, "identihook-dead");
    if (status != 0) {
        return status;
    }
    choice->query.give = (size_t)listing->limit + 1;
    buffer_append_string(&listing->out, listing->json ? "{\"dead\":[" : "");
    walk_begin(&walk, &errand, &choice->query, 0);
    status = list_all(listing, &walk);
    walk_end(&walk);
    errand_close(&errand);
    status = status == COMMAND_DONE ? print_listing(listing) : status;
    buffer_free(&listing->out);
    return status;
}

static int read_after(const struct arguments *arguments, struct dead_choice *choice)
{
    const char *after = arguments_value(arguments, "after");
    if (after && arguments_value(arguments, "since")) {
        return arguments_fault(arguments, "--after goes on where a page ended, so --since has no use beside it");
    }
    if (after) {
        (void)snprintf(choice->from, sizeof(choice->from), "(%.38s", after);
    }
    return 0;
}

int dead_list_run(int argc, char **argv)
{
    const struct argument own[] = {
        {.name = "limit", .value_name = "N", .help = "at most so many, 1 to 1000; by default 20"},
        {.name = "after", .value_name = "ID", .help = "go on behind this one"},
        {.name = "reason", .value_name = "WORD", .help = "the same as --with-reason"},
        {.name = "json", .help = "as one JSON object; next is the ID for --after, or null"},
        {.name = NULL},
    };
    struct argument options[DEAD_OPTIONS_MAXIMUM];
    struct arguments arguments = {
        .usage = "identihook dead list [--type TYPE] [--reason WORD] [--session ID] [--since TIME] [--until TIME]\n"
                 "                            [--limit N] [--after ID] [--json]",
        .description = "Lists the dead letters, oldest first, with the reason of each. No payload, no personal data.",
        .options = options,
    };
    struct dead_choice choice;
    struct listing listing = {0};
    struct settings settings;
    dead_options(options, own);
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    listing.json = arguments_value(&arguments, "json") != NULL;
    if (arguments_number(&arguments, "limit", 1, 1000, 20, &listing.limit) < 0 ||
        dead_choose(&choice, &arguments, arguments_value(&arguments, "reason")) != 0 ||
        read_after(&arguments, &choice) != 0) {
        return COMMAND_USAGE;
    }
    status = configuration_load(&settings, 0, arguments.env_file);
    status = status == 0 ? list(&settings, &choice, &listing) : status;
    settings_free(&settings);
    return status;
}
