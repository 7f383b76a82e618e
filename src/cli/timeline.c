#include "cli/timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

#define HAPPENINGS_MAXIMUM 256

/* Something that happened. Texts borrow from the dossier and the trace; empty ones do not apply. */
struct happening {
    int64_t at_ms; /* -1: it is not known when */
    const char *what;
    struct text effect;
    struct text detail; /* of an outcome, the effects that are done; of an act, who did it; of an entry, its id */
    struct text reason;
    struct text error;
    int64_t number; /* of a failed try; how many tries before a death; -1 */
};

enum place {
    PLACE_UNKNOWN,
    PLACE_UNREAD,
    PLACE_IN_PROCESS,
    PLACE_TURN,
    PLACE_HELD,
    PLACE_RETRY,
    PLACE_DEAD,
    PLACE_FINISHED,
    PLACES
};

static const char *const place_names[PLACES] = {
    [PLACE_UNKNOWN] = "unknown",   [PLACE_UNREAD] = "unread",     [PLACE_IN_PROCESS] = "in_process",
    [PLACE_TURN] = "waiting_turn", [PLACE_HELD] = "held",         [PLACE_RETRY] = "retrying",
    [PLACE_DEAD] = "dead",         [PLACE_FINISHED] = "finished",
};

struct timeline {
    const struct dossier *dossier;
    const struct trace *trace;
    struct happening happenings[HAPPENINGS_MAXIMUM];
    size_t count;
    enum place place;
};

/* ---- collecting what happened */

static struct happening *add(struct timeline *timeline, int64_t at_ms, const char *what)
{
    static struct happening too_many;
    if (timeline->count == HAPPENINGS_MAXIMUM) {
        return &too_many;
    }
    struct happening *happening = &timeline->happenings[timeline->count++];
    *happening = (struct happening){.at_ms = at_ms, .what = what, .number = -1};
    return happening;
}

static int64_t take_number(struct text *text)
{
    uint64_t number;
    return text_to_unsigned(text_cut(text, ' '), INT64_MAX, &number) == 0 ? (int64_t)number : -1;
}

/* "REASON ERROR" */
static void split_fault(struct happening *happening, struct text fault)
{
    happening->reason = text_cut(&fault, ' ');
    happening->error = fault;
}

/* What was written when the event died is told by the letter itself. */
static bool is_told_by_letter(const struct timeline *timeline, int64_t at_ms)
{
    const struct record *letter = dossier_latest(timeline->dossier, SEARCH_DEAD);
    return letter && record_number(letter, "failed_ms") == at_ms;
}

static void add_ledger_field(struct timeline *timeline, const struct trace_field *field)
{
    struct text name = text_of(field->name);
    struct text value = text_of(field->value);
    if (text_equal(name, TEXT("tries"))) {
        return;
    }
    if (text_take_prefix(&name, TEXT("try:"))) { /* "AT REASON ERROR" */
        int64_t at_ms = take_number(&value);
        if (!is_told_by_letter(timeline, at_ms)) {
            struct happening *happening = add(timeline, at_ms, "try_failed");
            happening->number = take_number(&name);
            split_fault(happening, value);
        }
    } else if (text_take_prefix(&name, TEXT("skipped:"))) {
        struct happening *happening = add(timeline, -1, "effect_skipped");
        happening->effect = name;
        split_fault(happening, value);
    } else if (text_take_prefix(&name, TEXT("failed:"))) {
        struct happening *happening = add(timeline, -1, "effect_failed");
        happening->effect = name;
        split_fault(happening, value);
    } else {
        int64_t at_ms = take_number(&value);
        if (at_ms > 0 && value.data == NULL) {
            add(timeline, at_ms, "effect_done")->effect = name;
        }
    }
}

static void add_outcome(struct timeline *timeline, const struct record *record)
{
    static const struct {
        const char *outcome;
        const char *what;
    } outcomes[] = {{"done", "done"}, {"superseded", "superseded"}, {"dead", "died"}};
    struct text outcome = record_value(record, "outcome");
    int64_t at_ms = record_number(record, "at_ms");
    for (size_t i = 0; i < ARRAY_LENGTH(outcomes) && !is_told_by_letter(timeline, at_ms); i++) {
        if (text_equal(outcome, text_of(outcomes[i].outcome))) {
            add(timeline, at_ms, outcomes[i].what)->detail = record_value(record, "effects");
        }
    }
}

static void add_letter(struct timeline *timeline, const struct record *record)
{
    struct happening *happening = add(timeline, record_number(record, "failed_ms"), "died");
    happening->number = record_number(record, "attempts");
    happening->reason = record_value(record, "reason");
    happening->error = record_value(record, "error");
}

static void add_act(struct timeline *timeline, const struct record *record)
{
    static const struct {
        const char *act;
        const char *what;
    } acts[] = {{"replay", "replayed"}, {"discard", "discarded"}, {"redact", "redacted"}};
    for (size_t i = 0; i < ARRAY_LENGTH(acts); i++) {
        if (text_equal(record_value(record, "act"), text_of(acts[i].act))) {
            struct happening *happening = add(timeline, record_number(record, "at_ms"), acts[i].what);
            happening->detail = record_value(record, "by");
            happening->error = record_value(record, "reason");
        }
    }
}

static void add_records(struct timeline *timeline, enum search_stream stream,
                        void (*add_one)(struct timeline *timeline, const struct record *record))
{
    LIST_EACH(&timeline->dossier->records[stream], member, following)
    {
        add_one(timeline, LIST_OBJECT(member, struct record, link));
    }
}

static void add_entry(struct timeline *timeline, const struct record *record)
{
    add(timeline, record_time(record), "queued")->detail = record->id;
}

/* The first record that tells `field`, of whichever stream. */
static struct text told(const struct dossier *dossier, const char *field)
{
    for (enum search_stream stream = 0; stream < SEARCH_STREAMS; stream++) {
        const struct record *record = dossier_latest(dossier, stream);
        struct text value = record ? record_value(record, field) : (struct text){0};
        if (value.length > 0) {
            return value;
        }
    }
    return (struct text){0};
}

static void add_beginning(struct timeline *timeline)
{
    struct text created = told(timeline->dossier, "created");
    struct text received = told(timeline->dossier, "received_ms");
    int64_t created_s = take_number(&created);
    int64_t received_ms = take_number(&received);
    if (created_s > 0 && created_s < INT64_MAX / 1000) {
        (void)add(timeline, created_s * 1000, "created");
    }
    if (received_ms > 0 || timeline->trace->mark_ms > 0) {
        (void)add(timeline, received_ms > 0 ? received_ms : timeline->trace->mark_ms, "received");
    }
}

/* By time, and what is not known stays behind what is; stable, for what happened in the same ms. */
static void sort(struct timeline *timeline)
{
    for (size_t i = 1; i < timeline->count; i++) {
        struct happening moved = timeline->happenings[i];
        size_t at = i;
        while (at > 0 && (uint64_t)timeline->happenings[at - 1].at_ms > (uint64_t)moved.at_ms) {
            timeline->happenings[at] = timeline->happenings[at - 1];
            at--;
        }
        timeline->happenings[at] = moved;
    }
}

/* ---- where it is now */

static enum place find_place(const struct dossier *dossier, const struct trace *trace)
{
    bool is_finished = trace->mark_ms < 0 || !list_is_empty(&dossier->records[SEARCH_OUTCOMES]);
    if (trace->pending) {
        return PLACE_IN_PROCESS;
    }
    if (trace->due_ms >= 0) {
        return trace->ahead >= 0 ? PLACE_TURN : trace->held ? PLACE_HELD : PLACE_RETRY;
    }
    if (!list_is_empty(&dossier->records[SEARCH_EVENTS]) && !trace->delivered) {
        return PLACE_UNREAD;
    }
    if (!list_is_empty(&dossier->records[SEARCH_DEAD])) {
        return PLACE_DEAD;
    }
    return is_finished ? PLACE_FINISHED : PLACE_UNKNOWN;
}

/* False: nothing is known. */
static bool gather(struct timeline *timeline, const struct dossier *dossier, const struct trace *trace)
{
    *timeline = (struct timeline){.dossier = dossier, .trace = trace, .place = find_place(dossier, trace)};
    add_beginning(timeline);
    add_records(timeline, SEARCH_ACTS, add_act); /* before the entry that a replay makes in the same ms */
    add_records(timeline, SEARCH_EVENTS, add_entry);
    for (size_t i = 0; i < trace->ledger_count; i++) {
        add_ledger_field(timeline, &trace->ledger[i]);
    }
    add_records(timeline, SEARCH_OUTCOMES, add_outcome);
    add_records(timeline, SEARCH_DEAD, add_letter);
    sort(timeline);
    return timeline->count > 0 || trace->mark_ms != 0;
}

/* ---- for people */

static void append_named(struct buffer *out, const char *before, struct text text)
{
    if (text.length > 0) {
        buffer_append_string(out, before);
        report_text(out, text);
    }
}

static void write_happening(struct buffer *out, const struct happening *happening)
{
    static const struct {
        const char *what;
        const char *words;
    } sentences[] = {
        {"created", "made by Stripe"},
        {"received", "received"},
        {"queued", "queued"},
        {"try_failed", "try failed"},
        {"effect_done", "effect done:"},
        {"effect_skipped", "effect skipped:"},
        {"effect_failed", "effect failed for good:"},
        {"done", "done"},
        {"superseded", "superseded: the session has moved on, so nothing was set off"},
        {"died", "to the dead letters"},
        {"replayed", "replayed"},
        {"discarded", "discarded"},
        {"redacted", "redacted"},
    };
    buffer_append_string(out, "  ");
    if (happening->at_ms >= 0) {
        report_time(out, happening->at_ms);
    } else {
        buffer_append_format(out, "%-24s", "");
    }
    buffer_append_string(out, "  ");
    for (size_t i = 0; i < ARRAY_LENGTH(sentences); i++) {
        if (strcmp(sentences[i].what, happening->what) == 0) {
            buffer_append_string(out, sentences[i].words);
        }
    }
    append_named(out, " ", happening->effect);
    if (happening->number >= 0) {
        buffer_append_format(out, " (%" PRId64 ")", happening->number);
    }
    append_named(out, " - ", happening->detail);
    append_named(out, ": ", happening->reason);
    append_named(out, ": ", happening->error);
    buffer_append_byte(out, '\n');
}

static void write_span(struct buffer *out, const char *before, int64_t milliseconds)
{
    buffer_append_string(out, before);
    report_span(out, milliseconds > 0 ? milliseconds : 0);
}

static void write_place(struct buffer *out, const struct timeline *timeline)
{
    const struct trace *trace = timeline->trace;
    buffer_append_string(out, "  now: ");
    switch (timeline->place) {
    case PLACE_UNREAD:
        buffer_append_string(out, "unread: no worker has taken it yet");
        break;
    case PLACE_IN_PROCESS:
        append_named(out, "in process at ", text_of(trace->consumer));
        write_span(out, ", last sign of life ", trace->idle_ms);
        buffer_append_string(out, " ago");
        break;
    case PLACE_TURN:
        buffer_append_format(out, "waits for its session's turn, %" PRId64 " before it", trace->ahead);
        append_named(out, "; the turn has ", text_of(trace->turn));
        break;
    case PLACE_HELD:
        buffer_append_string(out, "waits for an effect that is paused: identihook status tells by whom and why");
        break;
    case PLACE_RETRY:
        buffer_append_format(out, "to be tried again after %" PRId64 " failed %s", trace->failures,
                             trace->failures == 1 ? "try" : "tries");
        write_span(out, ", due in ", trace->due_ms - trace->now_ms);
        break;
    case PLACE_DEAD:
        buffer_append_string(out, "a dead letter: mend what the error names, then identihook dead replay");
        break;
    case PLACE_FINISHED:
        buffer_append_string(out, "finished");
        if (trace->mark_ms < 0) {
            buffer_append_string(out, " at ");
            report_time(out, -trace->mark_ms);
        }
        break;
    case PLACE_UNKNOWN:
    default:
        buffer_append_string(out, "received, but neither its entry nor its end was found");
        break;
    }
    buffer_append_byte(out, '\n');
}

bool timeline_write_text(struct buffer *out, const struct dossier *dossier, const struct trace *trace)
{
    struct timeline timeline;
    if (!gather(&timeline, dossier, trace)) {
        return false;
    }
    report_text(out, text_of(dossier->event));
    append_named(out, "  ", told(dossier, "type"));
    append_named(out, "  ", told(dossier, "session"));
    buffer_append_byte(out, '\n');
    for (size_t i = 0; i < timeline.count; i++) {
        write_happening(out, &timeline.happenings[i]);
    }
    write_place(out, &timeline);
    return true;
}

/* ---- as JSON */

static void write_given(struct buffer *out, const char *name, struct text text)
{
    if (text.length > 0) {
        report_json_text(out, name, text);
    }
}

/* What `detail` is depends on what happened. */
static const char *detail_name(const char *what)
{
    if (strcmp(what, "queued") == 0) {
        return "entry";
    }
    return strcmp(what, "done") == 0 || strcmp(what, "superseded") == 0 || strcmp(what, "died") == 0 ? "effects" : "by";
}

static void write_happening_json(struct buffer *out, const struct happening *happening)
{
    buffer_append_byte(out, '{');
    report_json_number(out, "at_ms", happening->at_ms);
    report_json_text(out, "what", text_of(happening->what));
    write_given(out, "effect", happening->effect);
    if (happening->number >= 0) {
        report_json_number(out, strcmp(happening->what, "try_failed") == 0 ? "try" : "tries", happening->number);
    }
    write_given(out, detail_name(happening->what), happening->detail);
    write_given(out, "reason", happening->reason);
    write_given(out, "error", happening->error);
    buffer_append_byte(out, '}');
}

static void write_place_json(struct buffer *out, const struct timeline *timeline)
{
    const struct trace *trace = timeline->trace;
    report_json_text(out, "state", text_of(place_names[timeline->place]));
    if (timeline->place == PLACE_IN_PROCESS) {
        report_json_text(out, "consumer", text_of(trace->consumer));
        report_json_number(out, "idle_ms", trace->idle_ms);
    }
    if (timeline->place == PLACE_RETRY || timeline->place == PLACE_TURN) {
        report_json_number(out, "due_ms", trace->due_ms);
        report_json_number(out, "failed_tries", trace->failures);
    }
    if (timeline->place == PLACE_TURN) {
        report_json_number(out, "ahead", trace->ahead);
    }
}

bool timeline_write_json(struct buffer *out, const struct dossier *dossier, const struct trace *trace)
{
    struct timeline timeline;
    if (!gather(&timeline, dossier, trace)) {
        return false;
    }
    buffer_append_byte(out, '{');
    report_json_text(out, "event", text_of(dossier->event));
    report_json_text(out, "type", told(dossier, "type"));
    report_json_text(out, "session", told(dossier, "session"));
    write_place_json(out, &timeline);
    buffer_append_string(out, ",\"timeline\":[");
    for (size_t i = 0; i < timeline.count; i++) {
        buffer_append_string(out, i > 0 ? "," : "");
        write_happening_json(out, &timeline.happenings[i]);
    }
    buffer_append_string(out, "]}");
    return true;
}
