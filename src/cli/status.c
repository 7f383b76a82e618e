#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/errand.h"
#include "cli/report.h"
#include "store/backlog.h"

#define WATCH_INTERVAL_MS 2000

struct asking {
    struct errand errand;
    struct backlog_call call;
    bool answered;
    bool failed;
    bool json;
    struct buffer out;
};

/* ---- for people */

static void write_age(struct buffer *out, const char *label, int64_t age_ms)
{
    if (age_ms >= 0) {
        buffer_append_format(out, "  %s ", label);
        report_span(out, age_ms);
    }
}

static void write_count(struct buffer *out, const char *label, int64_t count)
{
    if (count < 0) {
        buffer_append_format(out, "%-22s %8s", label, "some");
    } else {
        buffer_append_format(out, "%-22s %8" PRId64, label, count);
    }
}

static void write_schedule(struct buffer *out, const struct backlog *backlog)
{
    write_count(out, "waiting for a retry", backlog->retrying);
    write_age(out, "next in", backlog->next_retry_ms);
    buffer_append_byte(out, '\n');
    if (backlog->retrying > 0) {
        write_count(out, "  due now", backlog->due);
        buffer_append_byte(out, '\n');
        write_count(out, "  for the session's turn", backlog->waiting_turn);
        buffer_append_byte(out, '\n');
        write_count(out, "  for a paused effect", backlog->held);
        buffer_append_byte(out, '\n');
    }
}

static void write_pauses(struct buffer *out, const struct backlog *backlog)
{
    for (size_t i = 0; i < backlog->control.count; i++) {
        const struct control_pause *pause = &backlog->control.pauses[i];
        buffer_append_string(out, "PAUSED: ");
        report_text(out, pause->what);
        buffer_append_string(out, ", since ");
        report_time(out, pause->at_ms);
        buffer_append_string(out, ", by ");
        report_text(out, pause->by);
        buffer_append_string(out, pause->reason.length > 0 ? ": " : "");
        report_text(out, pause->reason);
        buffer_append_string(out, "\n");
    }
}

static void write_group(struct buffer *out, const struct backlog_group *group)
{
    buffer_append_string(out, "group ");
    report_text(out, group->name);
    buffer_append_format(out, ", %" PRId64 " consumers\n", group->consumers);
    write_count(out, "  unread", group->unread);
    write_age(out, "oldest", group->oldest_unread_ms);
    buffer_append_byte(out, '\n');
    write_count(out, "  in process", group->pending);
    write_age(out, "oldest", group->oldest_pending_ms);
    buffer_append_byte(out, '\n');
    for (size_t i = 0; i < group->member_count; i++) {
        buffer_append_string(out, "    ");
        report_text(out, group->members[i].name);
        buffer_append_format(out, "  %" PRId64 " in process", group->members[i].pending);
        write_age(out, "last seen", group->members[i].idle_ms);
        buffer_append_string(out, " ago\n");
    }
}

static void write_text(struct buffer *out, const struct backlog *backlog)
{
    write_pauses(out, backlog);
    write_count(out, "events in the stream", backlog->stream_length);
    buffer_append_byte(out, '\n');
    write_schedule(out, backlog);
    write_count(out, "dead letters", backlog->dead);
    buffer_append_byte(out, '\n');
    if (backlog->group_count == 0) {
        buffer_append_string(out, "no consumer group yet: no worker has started\n");
    }
    for (size_t i = 0; i < backlog->group_count; i++) {
        write_group(out, &backlog->groups[i]);
    }
}

/* ---- as JSON */

static void json_number(struct buffer *out, const char *name, int64_t number)
{
    buffer_append_format(out, ",\"%s\":%" PRId64, name, number);
}

static void write_group_json(struct buffer *out, const struct backlog_group *group)
{
    buffer_append_byte(out, '{');
    report_json_text(out, "name", group->name);
    json_number(out, "consumers", group->consumers);
    json_number(out, "unread", group->unread);
    json_number(out, "oldest_unread_ms", group->oldest_unread_ms);
    json_number(out, "pending", group->pending);
    json_number(out, "oldest_pending_ms", group->oldest_pending_ms);
    buffer_append_string(out, ",\"members\":[");
    for (size_t i = 0; i < group->member_count; i++) {
        buffer_append_string(out, i > 0 ? ",{" : "{");
        report_json_text(out, "name", group->members[i].name);
        json_number(out, "pending", group->members[i].pending);
        json_number(out, "idle_ms", group->members[i].idle_ms);
        buffer_append_byte(out, '}');
    }
    buffer_append_string(out, "]}");
}

static void write_pauses_json(struct buffer *out, const struct backlog *backlog)
{
    buffer_append_string(out, ",\"paused\":[");
    for (size_t i = 0; i < backlog->control.count; i++) {
        const struct control_pause *pause = &backlog->control.pauses[i];
        buffer_append_string(out, i > 0 ? ",{" : "{");
        report_json_text(out, "what", pause->what);
        report_json_number(out, "at_ms", pause->at_ms);
        report_json_text(out, "by", pause->by);
        report_json_text(out, "reason", pause->reason);
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}

static void write_json(struct buffer *out, const struct backlog *backlog)
{
    buffer_append_format(out, "{\"events\":%" PRId64, backlog->stream_length);
    json_number(out, "retrying", backlog->retrying);
    json_number(out, "due", backlog->due);
    json_number(out, "waiting_turn", backlog->waiting_turn);
    json_number(out, "held", backlog->held);
    json_number(out, "next_retry_ms", backlog->next_retry_ms);
    json_number(out, "dead", backlog->dead);
    write_pauses_json(out, backlog);
    buffer_append_string(out, ",\"groups\":[");
    for (size_t i = 0; i < backlog->group_count; i++) {
        buffer_append_string(out, i > 0 ? "," : "");
        write_group_json(out, &backlog->groups[i]);
    }
    buffer_append_string(out, "]}\n");
}

/* ---- asking */

static void on_backlog(struct backlog_call *call, const struct backlog *backlog, const char *error)
{
    struct asking *asking = CONTAINER_OF(call, struct asking, call);
    asking->answered = true;
    if (!backlog) {
        asking->failed = true;
        (void)errand_fault(error);
    } else if (asking->json) {
        write_json(&asking->out, backlog);
    } else {
        write_text(&asking->out, backlog);
    }
}

static int ask(struct asking *asking)
{
    asking->answered = false;
    asking->failed = false;
    asking->call.callback = on_backlog;
    int status = backlog_read(asking->errand.queue, &asking->call);
    bool fine = errand_asked(&asking->errand, status, &asking->answered) && !asking->failed;
    return fine && report_print(&asking->out) ? COMMAND_DONE : COMMAND_FAILED;
}

/* Until the process is ended, or Redis stays away. */
static int watch(struct asking *asking)
{
    bool clears = isatty(STDOUT_FILENO) && !asking->json;
    int status;
    do {
        buffer_append_string(&asking->out, clears ? "\033[H\033[2J" : "");
        status = ask(asking);
        errand_sleep(&asking->errand, WATCH_INTERVAL_MS);
    } while (status == COMMAND_DONE);
    return status;
}

static int show(const struct settings *settings, bool json, bool watches)
{
    struct asking asking = {.json = json};
    int status = errand_open(&asking.errand, settings, "identihook-status");
    if (status != 0) {
        return status;
    }
    status = watches ? watch(&asking) : ask(&asking);
    errand_close(&asking.errand);
    buffer_free(&asking.out);
    return status;
}

int status_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "watch", .help = "again every two seconds, until Ctrl-C"},
        {.name = "json", .help = "as one JSON object; ages are in ms, -1 is none"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook status [--watch] [--json]",
        .description = "Shows how much is waiting where: unread, in process, to be tried again, for its session's turn "
                       "or a paused\n"
                       "effect, dead; how old the oldest is; what is paused; and what each consumer of each group has.",
        .options = options,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    struct settings settings;
    status = configuration_load(&settings, 0, arguments.env_file);
    if (status == 0) {
        status =
            show(&settings, arguments_value(&arguments, "json") != NULL, arguments_value(&arguments, "watch") != NULL);
    }
    settings_free(&settings);
    return status;
}
