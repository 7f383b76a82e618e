#include "script_table.h"

#include <uv.h>

#include "scripts.h"

struct redis_script script_put = {.name = "put", .source = put_script};
struct redis_script script_due = {.name = "due", .source = due_script};
struct redis_script script_claim = {.name = "claim", .source = claim_script};
struct redis_script script_renew = {.name = "renew", .source = renew_script};
struct redis_script script_open = {.name = "open", .source = open_script};
struct redis_script script_record = {.name = "record", .source = record_script};
struct redis_script script_finish = {.name = "finish", .source = finish_script};
struct redis_script script_retry = {.name = "retry", .source = retry_script};
struct redis_script script_bury = {.name = "bury", .source = bury_script};
struct redis_script script_surrender = {.name = "surrender", .source = surrender_script};
struct redis_script script_trim = {.name = "trim", .source = trim_script};
struct redis_script script_rate = {.name = "rate", .source = rate_script};
struct redis_script script_rate_slow = {.name = "rate_slow", .source = rate_slow_script};
struct redis_script script_backlog = {.name = "backlog", .source = backlog_script};
struct redis_script script_pace = {.name = "pace", .source = pace_script};
struct redis_script script_admit = {.name = "admit", .source = admit_script};
struct redis_script script_enrol = {.name = "enrol", .source = enrol_script};
struct redis_script script_note = {.name = "note", .source = note_script};
struct redis_script script_search = {.name = "search", .source = search_script};
struct redis_script script_trace = {.name = "trace", .source = trace_script};
struct redis_script script_replay = {.name = "replay", .source = replay_script};
struct redis_script script_control_pause = {.name = "control_pause", .source = control_pause_script};
struct redis_script script_control_resume = {.name = "control_resume", .source = control_resume_script};
struct redis_script script_hold = {.name = "hold", .source = hold_script};
struct redis_script script_discard = {.name = "discard", .source = discard_script};
struct redis_script script_watermark_begin = {.name = "watermark_begin", .source = watermark_begin_script};
struct redis_script script_watermark_keep = {.name = "watermark_keep", .source = watermark_keep_script};

struct redis_script script_turn_take = {.name = "turn_take", .source = turn_take_script};
struct redis_script script_turn_give = {.name = "turn_give", .source = turn_give_script};
struct redis_script script_erase = {.name = "erase", .source = erase_script};

static struct redis_script *const scripts[] = {
    &script_put,   &script_due,  &script_claim,     &script_renew, &script_open, &script_record,  &script_finish,
    &script_retry, &script_bury, &script_surrender, &script_trim,  &script_rate, &script_backlog,
};

/* For operators, for creating sessions, and now and then: prepared, but not loaded by every connection. The first call
 * sends the source. */
static struct redis_script *const rare_scripts[] = {
    &script_search, &script_rate_slow, &script_trace, &script_watermark_begin, &script_watermark_keep, &script_pace,
    &script_admit,  &script_enrol,     &script_note,  &script_turn_take,       &script_turn_give,      &script_erase};

static const struct redis_script *table[sizeof(scripts) / sizeof(scripts[0]) + 1];

static void prepare(void)
{
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        redis_script_prepare(scripts[i]);
        table[i] = scripts[i];
    }
    for (size_t i = 0; i < sizeof(rare_scripts) / sizeof(rare_scripts[0]); i++) {
        redis_script_prepare(rare_scripts[i]);
    }
}

const struct redis_script *const *script_table(void)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, prepare);
    return table;
}
