#include "app/console_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <uv.h>

#include "base/version.h"

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem}"
    "h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:1.8rem 0 .4rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .8rem .2rem 0;"
    "border-bottom:1px solid #8884;vertical-align:top}th{font-weight:600}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".id{font-family:ui-monospace,monospace;font-size:.85em}"
    ".ok{color:#18794e}.attention{color:#b35900}.broken{color:#c62828;font-weight:600}.quiet{opacity:.7}";

/* ---- writing */

/* Control characters, which a page must not have, become blanks. */
static void write_text(struct buffer *out, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool controls = byte < 0x20 || byte == 0x7f;
        buffer_append_html(out, controls ? TEXT(" ") : (struct text){.data = text.data + i, .length = 1});
    }
}

static void write_cell(struct buffer *out, struct text text)
{
    buffer_append_string(out, "<td>");
    write_text(out, text);
}

static void write_id_cell(struct buffer *out, struct text text)
{
    buffer_append_string(out, "<td class=id>");
    write_text(out, text);
}

static void write_number_cell(struct buffer *out, int64_t number)
{
    if (number < 0) {
        buffer_append_string(out, "<td class=n>?");
    } else {
        buffer_append_format(out, "<td class=n>%" PRId64, number);
    }
}

static void write_span(struct buffer *out, int64_t milliseconds)
{
    static const struct {
        int64_t from;
        int64_t unit;
        const char *name;
    } units[] = {{172800000, 86400000, "d"}, {7200000, 3600000, "h"}, {120000, 60000, "min"}, {10000, 1000, "s"}};
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (milliseconds >= units[i].from) {
            buffer_append_format(out, "%" PRId64 " %s", milliseconds / units[i].unit, units[i].name);
            return;
        }
    }
    buffer_append_format(out, "%" PRId64 " ms", milliseconds);
}

static void write_span_cell(struct buffer *out, int64_t milliseconds)
{
    buffer_append_string(out, "<td class=n>");
    if (milliseconds >= 0) {
        write_span(out, milliseconds);
    }
}

static void write_time(struct buffer *out, int64_t milliseconds)
{
    time_t seconds = (time_t)(milliseconds / 1000);
    struct tm parts;
    char text[32];
    if (milliseconds >= 0 && gmtime_r(&seconds, &parts) &&
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &parts) > 0) {
        buffer_append_string(out, text);
    }
}

/* ---- the components */

enum mood { MOOD_OK, MOOD_ATTENTION, MOOD_BROKEN };

static void write_component(struct buffer *out, const char *name, enum mood mood, const char *words)
{
    static const char *const classes[] = {"ok", "attention", "broken"};
    buffer_append_format(out, "<tr><td>%s<td class=%s>", name, classes[mood]);
    write_text(out, text_of(words));
}

static void write_durability(struct buffer *out, const struct console_view *view)
{
    if (view->durability == DURABILITY_SOUND) {
        write_component(out, "durability", MOOD_OK, "events are on disk");
    } else {
        write_component(out, "durability", MOOD_ATTENTION,
                        view->durability == DURABILITY_WEAK ? "weak: identihook doctor tells why"
                                                            : "not known: Redis does not say");
    }
}

static void write_components(struct buffer *out, const struct console_view *view)
{
    buffer_append_string(out, "<h2>Components</h2><table>");
    write_component(out, "loops", view->loops_turn ? MOOD_OK : MOOD_BROKEN,
                    view->loops_turn ? "all turn" : "one does not turn");
    if (view->trouble == REDIS_FINE) {
        write_component(out, "redis", MOOD_OK, "answers");
    } else {
        write_component(out, "redis", MOOD_BROKEN, redis_trouble_advice(view->trouble));
    }
    write_durability(out, view);
    if (view->database == DATABASE_FINE) {
        write_component(out, "postgres", MOOD_OK, "answers");
    } else if (view->database != DATABASE_UNUSED) {
        write_component(out, "postgres", MOOD_BROKEN, database_state_advice(view->database));
    }
    if (view->counts.breakers_open[BREAKER_OF_STRIPE] > 0) {
        write_component(out, "stripe", MOOD_BROKEN, "fails again and again, and is spared for a while");
    }
    if (view->counts.breakers_open[BREAKER_OF_ONBOARDING] > 0) {
        write_component(out, "onboarding", MOOD_BROKEN, "fails again and again, and is spared for a while");
    }
    if (view->draining) {
        write_component(out, "process", MOOD_ATTENTION, "is stopping");
    }
    buffer_append_string(out, "</table>");
}

/* ---- the queue */

static void write_pause(struct buffer *out, const struct control_pause *pause)
{
    buffer_append_string(out, "<p class=attention>Paused: ");
    write_text(out, pause->what);
    buffer_append_string(out, ", by ");
    write_text(out, pause->by);
    buffer_append_string(out, " at ");
    write_time(out, pause->at_ms);
    buffer_append_string(out, pause->reason.length > 0 ? ": " : "");
    write_text(out, pause->reason);
}

static void write_state(struct buffer *out, const char *name, int64_t count, int64_t age_ms)
{
    buffer_append_format(out, "<tr><td>%s", name);
    write_number_cell(out, count);
    write_span_cell(out, age_ms);
}

static void write_states(struct buffer *out, const struct backlog *backlog)
{
    const struct backlog_group *ours = NULL;
    for (size_t i = 0; i < backlog->group_count; i++) {
        ours = text_equal(backlog->groups[i].name, TEXT(KEYS_GROUP)) ? &backlog->groups[i] : ours;
    }
    buffer_append_string(out, "<h2>Backlog</h2><table><tr><th>where<th class=n>events<th class=n>oldest, or next");
    write_state(out, "unread", ours ? ours->unread : backlog->stream_length, ours ? ours->oldest_unread_ms : -1);
    write_state(out, "in process", ours ? ours->pending : 0, ours ? ours->oldest_pending_ms : -1);
    write_state(out, "retrying", backlog->retrying, backlog->next_retry_ms);
    write_state(out, "&nbsp; due now", backlog->due, -1);
    write_state(out, "&nbsp; waiting for their session's turn", backlog->waiting_turn, -1);
    write_state(out, "&nbsp; waiting for a paused effect", backlog->held, -1);
    write_state(out, "dead", backlog->dead, -1);
    buffer_append_string(out, "</table>");
}

static void write_group(struct buffer *out, const struct backlog_group *group)
{
    buffer_append_string(out, "<tr>");
    write_cell(out, group->name);
    write_number_cell(out, group->unread);
    write_span_cell(out, group->oldest_unread_ms);
    write_number_cell(out, group->pending);
    write_span_cell(out, group->oldest_pending_ms);
    for (size_t i = 0; i < group->member_count; i++) {
        buffer_append_string(out, "<tr class=quiet><td class=id>&nbsp; ");
        write_text(out, group->members[i].name);
        buffer_append_string(out, "<td><td>");
        write_number_cell(out, group->members[i].pending);
        buffer_append_string(out, "<td class=n>seen ");
        write_span(out, group->members[i].idle_ms);
        buffer_append_string(out, " ago");
    }
}

static void write_groups(struct buffer *out, const struct backlog *backlog)
{
    buffer_append_string(out,
                         "<h2>Consumer groups</h2><table><tr><th>group, consumers<th class=n>unread<th class=n>oldest"
                         "<th class=n>in process<th class=n>oldest");
    for (size_t i = 0; i < backlog->group_count; i++) {
        write_group(out, &backlog->groups[i]);
    }
    buffer_append_string(out, "</table>");
    if (backlog->group_count == 0) {
        buffer_append_string(out, "<p class=attention>There is none yet: no worker has started.");
    }
}

void console_write_backlog(struct buffer *out, const struct backlog *backlog)
{
    for (size_t i = 0; i < backlog->control.count; i++) {
        write_pause(out, &backlog->control.pauses[i]);
    }
    write_states(out, backlog);
    write_groups(out, backlog);
}

/* ---- what happened */

static void write_reasons(struct buffer *out, const struct overview *overview)
{
    buffer_append_string(out, "<h2>Dead letters by reason</h2>");
    if (overview->reason_count == 0) {
        buffer_append_string(out, "<p class=ok>None.");
        return;
    }
    buffer_append_string(out, "<table><tr><th>reason<th class=n>letters");
    for (size_t i = 0; i < overview->reason_count; i++) {
        buffer_append_string(out, "<tr>");
        write_cell(out, overview->reasons[i].reason);
        write_number_cell(out, overview->reasons[i].count);
    }
    buffer_append_string(out, "</table><p class=quiet><code>identihook dead list</code> tells more of each");
    if (overview->dead_looked >= OVERVIEW_DEAD_MAXIMUM) {
        buffer_append_format(out, "; the newest %" PRId64 " were counted", overview->dead_looked);
    }
    buffer_append_string(out, ".");
}

static void write_outcome(struct buffer *out, const struct overview_outcome *outcome)
{
    struct text type = outcome->type;
    (void)text_take_prefix(&type, TEXT("identity.verification_session."));
    buffer_append_string(out, "<tr><td>");
    write_time(out, outcome->at_ms);
    write_cell(out, outcome->outcome);
    write_cell(out, type);
    write_cell(out, outcome->effects);
    write_id_cell(out, outcome->event);
    write_id_cell(out, outcome->session);
    write_span_cell(out, outcome->received_ms > 0 && outcome->at_ms >= outcome->received_ms
                             ? outcome->at_ms - outcome->received_ms
                             : -1);
}

static void write_outcomes(struct buffer *out, const struct overview *overview)
{
    buffer_append_string(out,
                         "<h2>Recent outcomes</h2><table><tr><th>at<th>outcome<th>type<th>effects<th>event<th>session"
                         "<th class=n>after");
    for (size_t i = 0; i < overview->outcome_count; i++) {
        write_outcome(out, &overview->outcomes[i]);
    }
    buffer_append_string(out, "</table>");
}

static void write_lately(struct buffer *out, const struct overview *overview)
{
    buffer_append_format(out,
                         "<h2>All workers, in the last minute</h2><p>%" PRId64 " done, %" PRId64 " superseded, %" PRId64
                         " to the dead letters%s.",
                         overview->lately[OVERVIEW_DONE], overview->lately[OVERVIEW_SUPERSEDED],
                         overview->lately[OVERVIEW_DEAD], overview->cut ? ", of the newest that were counted" : "");
}

void console_write_overview(struct buffer *out, const struct overview *overview)
{
    write_reasons(out, overview);
    write_lately(out, overview);
    write_outcomes(out, overview);
}

/* ---- rates */

static void write_rate(struct buffer *out, const char *name, uint64_t total, uint64_t before, uint64_t elapsed_ms)
{
    buffer_append_format(out, "<tr><td>%s<td class=n>%" PRIu64 "<td class=n>", name, total);
    if (elapsed_ms > 0 && total >= before) {
        buffer_append_format(out, "%.1f/s", (double)(total - before) * 1000.0 / (double)elapsed_ms);
    }
}

static uint64_t sum_answers(const struct console_counts *counts, int least, int most)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ANSWERS; i++) {
        sum += answer_kinds[i].status >= least && answer_kinds[i].status <= most ? counts->answers[i] : 0;
    }
    return sum;
}

static void write_process(struct buffer *out, const struct console_view *view)
{
    const struct console_counts *now = &view->counts;
    const struct console_counts *then = &view->before;
    uint64_t elapsed = then->at_ms > 0 ? now->at_ms - then->at_ms : 0;
    buffer_append_string(out, "<h2>This process</h2><table><tr><th>what<th class=n>since its start<th class=n>now");
    write_rate(out, "events queued", now->answers[ANSWER_QUEUED], then->answers[ANSWER_QUEUED], elapsed);
    write_rate(out, "duplicates", now->answers[ANSWER_DUPLICATE], then->answers[ANSWER_DUPLICATE], elapsed);
    write_rate(out, "requests refused (4xx)", sum_answers(now, 400, 499), sum_answers(then, 400, 499), elapsed);
    write_rate(out, "answered 503 and other 5xx", sum_answers(now, 500, 599), sum_answers(then, 500, 599), elapsed);
    write_rate(out, "events done", now->endings[ENDING_DONE], then->endings[ENDING_DONE], elapsed);
    write_rate(out, "events superseded", now->endings[ENDING_SUPERSEDED], then->endings[ENDING_SUPERSEDED], elapsed);
    write_rate(out, "tries that failed", now->endings[ENDING_RETRIED], then->endings[ENDING_RETRIED], elapsed);
    write_rate(out, "events that died", now->endings[ENDING_DEAD], then->endings[ENDING_DEAD], elapsed);
    write_rate(out, "reads of Stripe's API", now->fetches[RESULT_DONE], then->fetches[RESULT_DONE], elapsed);
    for (enum action action = 0; action < ACTIONS; action++) {
        if (now->effects[action][RESULT_DONE] + now->effects[action][RESULT_TRANSIENT] > 0) {
            write_rate(out, action_names[action], now->effects[action][RESULT_DONE], then->effects[action][RESULT_DONE],
                       elapsed);
        }
    }
    buffer_append_format(out, "<tr><td>in process now<td class=n>%" PRIu64 "<td></table>", now->in_process);
}

/* ---- the page */

void console_count(const struct telemetry *const *loops, size_t count, struct console_counts *counts)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < ANSWERS; j++) {
            counts->answers[j] += telemetry_get(&loops[i]->answers[j]);
        }
        for (size_t j = 0; j < ENDINGS; j++) {
            counts->endings[j] += telemetry_get(&loops[i]->endings[j]);
        }
        for (size_t j = 0; j < RESULTS; j++) {
            counts->fetches[j] += telemetry_get(&loops[i]->fetches[j]);
            for (enum action action = 0; action < ACTIONS; action++) {
                counts->effects[action][j] += telemetry_get(&loops[i]->effects[action][j]);
            }
        }
        for (size_t j = 0; j < BREAKERS; j++) {
            counts->breakers_open[j] += telemetry_get(&loops[i]->breakers_open[j]);
        }
        counts->in_process += telemetry_get(&loops[i]->in_process);
    }
}

static void write_head(struct buffer *out, const struct console_view *view)
{
    buffer_append_string(out,
                         "<!doctype html><html lang=en><head><meta charset=utf-8><meta http-equiv=refresh content=5>"
                         "<meta name=viewport content=\"width=device-width\"><title>identihook</title><style>");
    buffer_append_string(out, style);
    buffer_append_format(out, "</style></head><body><h1>identihook %s</h1><p class=quiet>%s, namespace ",
                         version_text(), view->role);
    write_text(out, text_of(view->namespace));
    buffer_append_string(out, ", up ");
    write_span(out, (int64_t)view->uptime_ms);
    buffer_append_string(out, ", as of ");
    write_time(out, view->now_ms);
}

void console_write_page(struct buffer *out, const struct console_view *view)
{
    write_head(out, view);
    write_components(out, view);
    if (view->backlog.length > 0 && view->overview.length > 0) {
        buffer_append(out, view->backlog);
        buffer_append(out, view->overview);
    } else {
        buffer_append_string(out, "<p class=broken>Redis did not answer: what is queued is not known now.");
    }
    write_process(out, view);
    buffer_append_string(out, "</body></html>\n");
}

static char headers[512];

static void make_headers(void)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char encoded[4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1] = "";
    unsigned length = 0;
    if (EVP_Digest(style, sizeof(style) - 1, digest, &length, EVP_sha256(), NULL) == 1) {
        (void)EVP_EncodeBlock(encoded, digest, (int)length);
    }
    (void)snprintf(headers, sizeof(headers),
                   "Content-Security-Policy: default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; "
                   "form-action 'none'; frame-ancestors 'none'\r\nCache-Control: no-store\r\n"
                   "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n",
                   (const char *)encoded);
}

struct text console_headers(void)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, make_headers);
    return text_of(headers);
}
