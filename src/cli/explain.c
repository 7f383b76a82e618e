#include <stdio.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/dossier.h"
#include "cli/report.h"
#include "cli/timeline.h"
#include "stripe/event.h"

/* Collects what there is about an event, or about all events of a session, and tells it in order. */
struct explaining {
    struct errand errand;
    struct archive archive;
    struct trace_call trace_call;
    bool answered;
    bool failed;
    int64_t mark_ms;               /* of the first trace */
    const struct dossier *dossier; /* that the trace is for; NULL for the first one */
    const char *id;
    bool json;
    size_t told;
    struct buffer out;
};

static void on_trace(struct trace_call *call, const struct trace *trace, const char *error)
{
    struct explaining *explaining = CONTAINER_OF(call, struct explaining, trace_call);
    explaining->answered = true;
    if (!trace) {
        explaining->failed = true;
        (void)errand_fault(error);
        return;
    }
    explaining->mark_ms = trace->mark_ms;
    if (!explaining->dossier) {
        return;
    }
    size_t before = explaining->out.length;
    if (explaining->told > 0) {
        buffer_append_string(&explaining->out, explaining->json ? "," : "\n");
    }
    bool known = explaining->json ? timeline_write_json(&explaining->out, explaining->dossier, trace)
                                  : timeline_write_text(&explaining->out, explaining->dossier, trace);
    explaining->told += known ? 1 : 0;
    if (!known && explaining->out.data) {
        explaining->out.length = before;
    }
}

static int trace(struct explaining *explaining, const struct trace_query *query)
{
    explaining->answered = false;
    explaining->trace_call.callback = on_trace;
    int status = trace_start(explaining->errand.queue, &explaining->trace_call, query);
    bool answered = errand_asked(&explaining->errand, status, &explaining->answered);
    return answered && !explaining->failed ? 0 : COMMAND_FAILED;
}

static int tell(struct explaining *explaining, const struct dossier *dossier)
{
    const struct record *entry = dossier_latest(dossier, SEARCH_EVENTS);
    struct trace_query query = {
        .event = text_of(dossier->event),
        .session = entry ? record_value(entry, "session") : TEXT(""),
        .id = entry ? entry->id : TEXT(""),
    };
    explaining->dossier = dossier;
    return trace(explaining, &query);
}

static int collect(struct explaining *explaining)
{
    struct trace_query query = {.event = text_of(explaining->id), .session = TEXT(""), .id = TEXT("")};
    if (event_is_session_id(text_of(explaining->id))) {
        return archive_collect_session(&explaining->archive, explaining->id);
    }
    int status = trace(explaining, &query);
    return status == 0 ? archive_collect_event(&explaining->archive, explaining->id, explaining->mark_ms) : status;
}

static int tell_all(struct explaining *explaining)
{
    if (explaining->json) {
        buffer_append_byte(&explaining->out, '{');
        report_json_text(&explaining->out, "id", text_of(explaining->id));
        buffer_append_string(&explaining->out, ",\"events\":[");
    }
    /* A session's events were found the newest first. */
    int status = 0;
    for (struct list *member = explaining->archive.dossiers.previous;
         member != &explaining->archive.dossiers && status == 0; member = member->previous) {
        status = tell(explaining, LIST_OBJECT(member, struct dossier, link));
    }
    if (explaining->json) {
        buffer_append_byte(&explaining->out, ']');
        report_json_bool(&explaining->out, "complete", !explaining->archive.cut);
        buffer_append_string(&explaining->out, "}\n");
    }
    return status;
}

/* What the reader must know about what was not found. */
static void remark(const struct explaining *explaining)
{
    struct buffer words = {0};
    if (explaining->told == 0) {
        buffer_append_format(&words,
                             "identihook: nothing is known of %s: it was not received here (another REDIS_URL or "
                             "IDENTIHOOK_NAMESPACE?), or so long ago that it is forgotten\n",
                             explaining->id);
    }
    if (explaining->archive.cut) {
        buffer_append_string(&words, "identihook: not everything was looked at, only back to ");
        report_time(&words, explaining->archive.oldest_ms < INT64_MAX ? explaining->archive.oldest_ms : -1);
        buffer_append_string(&words, ": --look N looks further\n");
    }
    (void)fputs(words.data ? words.data : "", stderr);
    buffer_free(&words);
}

static int explain(const struct settings *settings, struct explaining *explaining, size_t budget)
{
    int status = errand_open(&explaining->errand, settings, "identihook-explain");
    if (status != 0) {
        return status;
    }
    archive_open(&explaining->archive, &explaining->errand, budget);
    status = collect(explaining);
    status = status == 0 ? tell_all(explaining) : status;
    archive_close(&explaining->archive);
    errand_close(&explaining->errand);
    if (status == 0) {
        bool written = report_print(&explaining->out);
        remark(explaining);
        status = written && explaining->told > 0 ? COMMAND_DONE : COMMAND_FAILED;
    }
    buffer_free(&explaining->out);
    return status;
}

int explain_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "look", .value_name = "N", .help = "look at N entries of each stream at most; by default 100000"},
        {.name = "json", .help = "as one JSON object; times are in ms since 1970"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook explain evt_…|vs_… [--look N] [--json]",
        .description =
            "Tells the life of an event, or of all events of a session, from receipt to every effect: each failed\n"
            "try with its error, what is done, where it is now. Exit status 1 when nothing is known of it.",
        .options = options,
        .positional_maximum = 1,
    };
    int64_t budget;
    struct settings settings;
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    if (arguments.positional_count == 0 || !event_is_id(text_of(arguments.positional[0]))) {
        return arguments_fault(&arguments, "name an event (evt_…) or a session (vs_…)");
    }
    if (arguments_number(&arguments, "look", 1, INT32_MAX, 100000, &budget) < 0) {
        return COMMAND_USAGE;
    }
    struct explaining explaining = {.id = arguments.positional[0], .json = arguments_value(&arguments, "json") != NULL};
    status = configuration_load(&settings, 0, arguments.env_file);
    status = status == 0 ? explain(&settings, &explaining, (size_t)budget) : status;
    settings_free(&settings);
    return status;
}
