#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/dead.h"
#include "cli/report.h"
#include "cli/walk.h"

struct showing {
    const char *id; /* a letter's, or an event's */
    struct buffer out;
    bool json;
    bool payload;
    size_t count;
};

static void write_line(struct buffer *out, const char *name, struct text value)
{
    buffer_append_format(out, "%-12s ", name);
    report_text(out, value);
    buffer_append_byte(out, '\n');
}

static void write_moment(struct buffer *out, const char *name, int64_t milliseconds)
{
    buffer_append_format(out, "%-12s ", name);
    report_time(out, milliseconds);
    buffer_append_byte(out, '\n');
}

static void write_text(struct buffer *out, const struct record *record)
{
    static const char *const names[] = {"event", "type", "session", "account", "livemode", "api_version"};
    int64_t created = record_number(record, "created");
    write_line(out, "id", record->id);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        write_line(out, names[i], record_value(record, names[i]));
    }
    write_moment(out, "created", created > 0 && created < INT64_MAX / 1000 ? created * 1000 : -1);
    write_moment(out, "received", record_number(record, "received_ms"));
    write_moment(out, "died", record_number(record, "failed_ms"));
    write_line(out, "tries", record_value(record, "attempts"));
    write_line(out, "reason", record_value(record, "reason"));
    write_line(out, "error", record_value(record, "error"));
}

static void show_one(struct showing *showing, const struct record *record)
{
    struct buffer *out = &showing->out;
    if (showing->json) {
        dead_write_json(out, record);
        if (showing->payload) {
            report_json_text(out, "payload", record_value(record, "payload"));
        }
        buffer_append_string(out, "}\n");
    } else {
        buffer_append_string(out, showing->count > 0 ? "\n" : "");
        write_text(out, record);
        if (showing->payload) {
            buffer_append_string(out, "payload\n");
            buffer_append(out, record_value(record, "payload"));
            buffer_append_byte(out, '\n');
        }
    }
    showing->count++;
}

static int show_all(struct showing *showing, struct walk *walk)
{
    struct record *record;
    enum walk_step step;
    while ((step = walk_next(walk, &record)) == WALK_RECORD) {
        show_one(showing, record);
        free(record);
    }
    return step == WALK_FAILED ? COMMAND_FAILED : COMMAND_DONE;
}

static int show(const struct settings *settings, struct showing *showing)
{
    struct errand errand;
    struct walk walk;
    struct search_query query;
    int status = errand_open(&errand, settings, "identihook-dead");
    if (status != 0) {
        return status;
    }
    dead_query_of(showing->id, &query);
    query.with_payload = showing->payload;
    walk_begin(&walk, &errand, &query, 0);
    status = show_all(showing, &walk);
    walk_end(&walk);
    errand_close(&errand);
    if (status == COMMAND_DONE && !report_print(&showing->out)) {
        status = COMMAND_FAILED;
    }
    if (status == COMMAND_DONE && showing->count == 0) {
        (void)fprintf(stderr,
                      "identihook: %s is not among the dead letters: identihook explain tells where an event is\n",
                      showing->id);
        status = COMMAND_FAILED;
    }
    buffer_wipe(&showing->out);
    return status;
}

int dead_show_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "payload", .help = "with the event's body as Stripe sent it: personal data"},
        {.name = "json", .help = "as one JSON object a line"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook dead show ID [--payload] [--json]",
        .description = "Shows one dead letter. ID is an event's (evt_…), or the letter's own as dead list shows it.",
        .options = options,
        .positional_maximum = 1,
    };
    struct settings settings;
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    if (arguments.positional_count == 0 || !dead_is_id(arguments.positional[0])) {
        return arguments_fault(&arguments, "name one dead letter: evt_…, or an id of dead list");
    }
    struct showing showing = {
        .id = arguments.positional[0],
        .json = arguments_value(&arguments, "json") != NULL,
        .payload = arguments_value(&arguments, "payload") != NULL,
    };
    status = configuration_load(&settings, 0, arguments.env_file);
    status = status == 0 ? show(&settings, &showing) : status;
    settings_free(&settings);
    return status;
}
