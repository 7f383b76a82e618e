#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/session_desk.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "core/decision.h"
#include "stripe/api.h"
#include "stripe/ticket.h"
#include "worker_private.h"

/*
 * Drives one event: performs what job_step() orders, and tells it what came of that.
 *
 * Happy path: open → fetch (→ note, for a session that was handed out here) → act, record, act, record → finish. See
 * core/job.h for what leads elsewhere; here nothing is decided.
 */

static void perform(struct delivery *delivery);

/* ---- talking to the job */

/* How long Stripe still shows the sensitive fields that were chosen; 0: for ever, or not any more. */
static uint64_t left_ms(const struct delivery *delivery)
{
    int64_t end_s = delivery->entry->created + (int64_t)API_SENSITIVE_HOURS * 3600;
    int64_t left_s = end_s - clock_wall_seconds();
    bool sensitive = session_has_sensitive(delivery->worker->options.settings->verified_outputs);
    return sensitive && left_s > 0 ? (uint64_t)left_s * 1000 : 0;
}

static void step(struct delivery *delivery, const struct job_input *input)
{
    const struct settings *settings = delivery->worker->options.settings;
    struct job_limits limits = {
        .max_attempts = (unsigned)settings->max_attempts,
        .retry_base_ms = settings->retry_base_ms,
        .retry_cap_ms = settings->retry_cap_ms,
        .left_ms = left_ms(delivery),
    };
    struct job_input whole = *input;
    random_bytes(&whole.random, sizeof(whole.random));
    struct job_order order = job_step(&delivery->job, &limits, &whole);
    if (order.action == JOB_WAIT) {
        return;
    }
    delivery->order = order;
    delivery->wait = DELIVERY_RUNNING;
    perform(delivery);
}

static void step_event(struct delivery *delivery, enum job_event event)
{
    struct job_input input = {.event = event};
    step(delivery, &input);
}

static const struct action_list *actions_of(const struct delivery *delivery)
{
    static const struct action_list none = {0};
    static const struct action_list of_redaction = {.count = 1, .items = {ACTION_ERASE}};
    const struct settings *settings = delivery->worker->options.settings;
    switch (delivery->entry->kind) {
    case EVENT_VERIFIED:
        return &settings->actions_verified;
    case EVENT_REQUIRES_INPUT:
        return &settings->actions_requires_input;
    case EVENT_REDACTED:
        return &of_redaction;
    default:
        return &none;
    }
}

/* ---- asking Redis: an answer that does not come is asked for again when Redis is back */

static void stall(struct delivery *delivery)
{
    delivery->wait = DELIVERY_STALLED;
}

static void asked(struct delivery *delivery, int status)
{
    delivery->redis_pending = status == 0;
    if (status < 0) {
        stall(delivery);
    }
}

static struct delivery *answered(struct lease_call *call)
{
    struct delivery *delivery = CONTAINER_OF(call, struct delivery, lease_call);
    delivery->redis_pending = false;
    if (call->handed_on) {
        call->handed_on = false;
        delivery->worker->due_at_ms = 0; /* ask at once: the next event of the session may be begun */
    }
    return delivery;
}

static void end_lost(struct delivery *delivery)
{
    telemetry_add(&delivery->worker->options.telemetry->endings[ENDING_LOST], 1);
    log_warn("event was taken over by another worker", LOG_TEXT("event", delivery->entry->event));
    step_event(delivery, JOB_LOST);
}

static void end_waiting(struct delivery *delivery)
{
    telemetry_add(&delivery->worker->options.telemetry->endings[ENDING_WAITING], 1);
    log_debug("event waits for another one of its session", LOG_TEXT("event", delivery->entry->event),
              LOG_TEXT("session", delivery->entry->session));
    step_event(delivery, JOB_LOST);
}

static void end_settled(struct delivery *delivery)
{
    telemetry_add(&delivery->worker->options.telemetry->endings[ENDING_SETTLED], 1);
    log_info("event came again, and had been finished before", LOG_TEXT("event", delivery->entry->event));
    step_event(delivery, JOB_LOST);
}

/* Anything but LEASE_DONE ends it, or stalls it; true: go on. */
static bool holds(struct delivery *delivery, enum lease_outcome outcome)
{
    switch (outcome) {
    case LEASE_UNKNOWN:
        stall(delivery);
        return false;
    case LEASE_LOST:
        end_lost(delivery);
        return false;
    case LEASE_WAITS:
        end_waiting(delivery);
        return false;
    case LEASE_SETTLED:
        end_settled(delivery);
        return false;
    case LEASE_DONE:
    default:
        return true;
    }
}

/*
 * Whether the session is to be asked for: because the outcome tells how it stands, whatever is set off by it; or
 * because it is to be known to those who ask for their status.
 */
static bool acts(const struct delivery *delivery)
{
    bool noted = session_desk_is_wanted(delivery->worker->options.settings) && delivery->entry->kind != EVENT_CREATED;
    return decision_is_needed(delivery->entry->kind) || actions_of(delivery)->count > 0 || noted;
}

/* The first effect that is left and is paused; ACTIONS when there is none. */
static enum action paused_effect(const struct delivery *delivery)
{
    const struct action_list *actions = actions_of(delivery);
    for (size_t i = 0; i < actions->count; i++) {
        bool left = !((delivery->ledger.done | delivery->ledger.failed) & (1u << actions->items[i]));
        if (left && pause_watch_holds(delivery->worker->pauses, actions->items[i])) {
            return actions->items[i];
        }
    }
    return ACTIONS;
}

/* Whether something is left, and all that is left is paused: then there is no need to fetch the session. */
static bool is_held(const struct delivery *delivery)
{
    const struct action_list *actions = actions_of(delivery);
    for (size_t i = 0; i < actions->count; i++) {
        bool left = !((delivery->ledger.done | delivery->ledger.failed) & (1u << actions->items[i]));
        if (left && !pause_watch_holds(delivery->worker->pauses, actions->items[i])) {
            return false;
        }
    }
    return paused_effect(delivery) != ACTIONS;
}

/* Asks whether the event is still ours, and its session's turn, and what the ledger has of it. `mail`, unless empty, is
 * frozen for every try to come. */
static void read_ledger(struct delivery *delivery, struct text mail,
                        void (*callback)(struct lease_call *call, enum lease_outcome outcome))
{
    delivery->lease_call.effects = action_names; /* so bit N of the ledger is enum action N */
    delivery->lease_call.effect_count = ACTIONS;
    delivery->lease_call.mail = mail;
    delivery->lease_call.callback = callback;
    asked(delivery, lease_open(&delivery->lease, &delivery->lease_call));
}

/* ---- opening */

static void on_opened(struct lease_call *call, enum lease_outcome outcome)
{
    struct delivery *delivery = answered(call);
    if (!holds(delivery, outcome)) {
        return;
    }
    delivery->ledger = call->ledger;
    struct job_input input = {
        .event = !acts(delivery)     ? JOB_OPENED_IDLE
                 : is_held(delivery) ? JOB_OPENED_HELD
                                     : JOB_OPENED,
        .failures = call->ledger.failures,
        .takeovers = call->ledger.takeovers,
    };
    step(delivery, &input);
}

static void open_ledger(struct delivery *delivery)
{
    read_ledger(delivery, (struct text){0}, on_opened);
}

/* ---- fetching */

static void fail(struct delivery *delivery, bool for_good, const struct job_fault *fault, uint64_t retry_after_ms)
{
    struct job_input input = {
        .event = for_good ? JOB_FAILED : JOB_DEFERRED, .fault = fault, .retry_after_ms = retry_after_ms};
    step(delivery, &input);
}

/* The effects that this event calls for, as the ledger knows them. */
static void act_on_session(struct delivery *delivery)
{
    const struct action_list *actions = actions_of(delivery);
    struct job_input input = {.event = JOB_FETCHED, .effect_count = actions->count, .fault = &delivery->ledger.fault};
    for (size_t i = 0; i < actions->count; i++) {
        unsigned bit = 1u << actions->items[i];
        input.effects[i] = delivery->ledger.done & bit      ? JOB_EFFECT_DONE
                           : delivery->ledger.failed & bit  ? JOB_EFFECT_FAILED
                           : delivery->ledger.skipped & bit ? JOB_EFFECT_SKIPPED
                                                            : JOB_EFFECT_TODO;
    }
    if (delivery->session && decision_is_needed(delivery->entry->kind) &&
        decision_make(delivery->entry->kind, delivery->session) == DECISION_SUPERSEDED) {
        input.event = JOB_SUPERSEDED;
    }
    step(delivery, &input);
}

static void on_noted(struct user_call *call, bool answered)
{
    struct delivery *delivery = CONTAINER_OF(call, struct delivery, user_call);
    delivery->redis_pending = false;
    if (answered) {
        act_on_session(delivery);
    } else {
        stall(delivery);
    }
}

/* A session that was handed out here: its user may be asking how it stands, and shall not wait for mails. */
static void note_session(struct delivery *delivery)
{
    const struct session *session = delivery->session;
    const char *reason = session->has_error && session->error_code ? session->error_code : "";
    char hash[USER_HASH_SIZE];
    struct user_state state = {
        .session = delivery->entry->session,
        .status = session->status_text,
        .reason = session->has_error && reason[0] == '\0' ? "unknown" : reason,
        .event = delivery->entry->event,
        .at_ms = clock_wall_ms(),
    };
    user_hash(text_of(session->user), hash);
    delivery->user_call.callback = on_noted;
    asked(delivery, user_note(delivery->worker->options.queue, &delivery->user_call, hash, &state,
                              delivery->worker->options.settings->sessions.record_ms));
}

static bool was_handed_out_here(const struct session *session)
{
    const char *creator = session_metadata(session, "created_by");
    return session->user && creator && strcmp(creator, TICKET_CREATED_BY) == 0;
}

static void on_looked_up(struct lookup *lookup, const struct lookup_result *result)
{
    struct delivery *delivery = CONTAINER_OF(lookup, struct delivery, lookup);
    if (result->outcome == LOOKUP_UNASKED) {
        stall(delivery);
    } else if (result->outcome != LOOKUP_FOUND) {
        fail(delivery, result->outcome == LOOKUP_PERMANENT, &result->fault, result->retry_after_ms);
    } else {
        session_free(delivery->session);
        delivery->session = result->session;
        (was_handed_out_here(result->session) ? note_session : act_on_session)(delivery);
    }
}

static void look_up(struct delivery *delivery)
{
    delivery->lookup.entry = delivery->entry;
    delivery->lookup.first_try = delivery->ledger.failures == 0 && delivery->ledger.takeovers == 0;
    delivery->lookup.ended = on_looked_up;
    if (lookup_start(delivery->worker->lookups, &delivery->lookup) < 0) {
        stall(delivery);
    }
}

/* ---- effects */

static void note_effect(struct delivery *delivery, const struct effect_result *result)
{
    static const enum telemetry_result results[] = {
        [EFFECT_DONE] = RESULT_DONE, [EFFECT_TRANSIENT] = RESULT_TRANSIENT, [EFFECT_PERMANENT] = RESULT_PERMANENT};
    enum action action = actions_of(delivery)->items[delivery->job.effect];
    struct telemetry *telemetry = delivery->worker->options.telemetry;
    if (result->outcome == EFFECT_SKIPPED) {
        telemetry_add(&telemetry->skipped[action], 1);
        log_info("effect skipped", LOG_TEXT("event", delivery->entry->event),
                 LOG_STRING("effect", action_names[action]), LOG_STRING("reason", result->fault.reason));
        return;
    }
    telemetry_add(&telemetry->effects[action][results[result->outcome]], 1);
    if (result->outcome != EFFECT_DONE) {
        log_warn("effect failed", LOG_TEXT("event", delivery->entry->event), LOG_STRING("effect", action_names[action]),
                 LOG_STRING("reason", result->fault.reason), LOG_STRING("error", result->fault.error));
    }
}

static void end_effect(struct delivery *delivery, const struct effect_result *result)
{
    delivery->effect_running = false;
    note_effect(delivery, result);
    if (result->outcome == EFFECT_DONE) {
        step_event(delivery, JOB_SUCCEEDED);
    } else if (result->outcome == EFFECT_SKIPPED) {
        (void)snprintf(delivery->skip_reason, sizeof(delivery->skip_reason), "%s", result->fault.reason);
        step_event(delivery, JOB_SKIPPED);
    } else {
        fail(delivery, result->outcome == EFFECT_PERMANENT, &result->fault, result->retry_after_ms);
    }
}

static void on_effect_ended(struct effect_run *run, const struct effect_result *result)
{
    end_effect(CONTAINER_OF(run, struct delivery, effect), result);
}

/* What an earlier try has frozen goes out instead of what was written now. */
static void thaw(struct delivery *delivery, struct text frozen)
{
    if (frozen.length > 0 && frozen.data != delivery->effect.mail.data) {
        buffer_clear(&delivery->effect.mail);
        buffer_append(&delivery->effect.mail, frozen);
    }
}

static void begin_effect(struct delivery *delivery)
{
    struct effect_result result;
    delivery->effect_running = true;
    int status = effect_start(actions_of(delivery)->items[delivery->job.effect], &delivery->effect, &result);
    buffer_wipe(&delivery->effect.mail);
    if (status == EFFECT_ENDED) {
        end_effect(delivery, &result);
    }
}

static void on_confirmed(struct lease_call *call, enum lease_outcome outcome)
{
    struct delivery *delivery = answered(call);
    if (!holds(delivery, outcome)) {
        return;
    }
    if (call->ledger.done & (1u << actions_of(delivery)->items[delivery->job.effect])) {
        step_event(delivery, JOB_SUCCEEDED); /* by another owner, meanwhile */
    } else {
        thaw(delivery, call->frozen);
        begin_effect(delivery);
    }
}

/* A worker that was frozen, or whose group was lost, may have lost its events without knowing: an effect is begun only
 * when Redis has just said that the event is ours. A mail is frozen in the same step. */
static void run_effect(struct delivery *delivery)
{
    enum action action = actions_of(delivery)->items[delivery->job.effect];
    if (pause_watch_holds(delivery->worker->pauses, action)) {
        step_event(delivery, JOB_HELD);
        return;
    }
    buffer_wipe(&delivery->effect.mail);
    delivery->effect = (struct effect_run){
        .tools = &delivery->worker->tools,
        .entry = delivery->entry,
        .session = delivery->session,
        .ended = on_effect_ended,
    };
    effect_prepare(action, &delivery->effect);
    read_ledger(delivery, buffer_text(&delivery->effect.mail), on_confirmed);
}

static void on_recorded(struct lease_call *call, enum lease_outcome outcome)
{
    struct delivery *delivery = answered(call);
    if (holds(delivery, outcome)) {
        step_event(delivery, JOB_RECORDED);
    }
}

static void record_effect(struct delivery *delivery)
{
    const char *name = action_names[actions_of(delivery)->items[delivery->job.effect]];
    delivery->lease_call.callback = on_recorded;
    enum job_effect_state state = delivery->job.effects[delivery->job.effect];
    int status;
    if (state == JOB_EFFECT_DONE) {
        status = lease_record_done(&delivery->lease, &delivery->lease_call, name);
    } else if (state == JOB_EFFECT_SKIPPED) {
        status = lease_record_skipped(&delivery->lease, &delivery->lease_call, name, delivery->skip_reason);
    } else {
        status = lease_record_failed(&delivery->lease, &delivery->lease_call, name, &delivery->job.fault);
    }
    asked(delivery, status);
}

/* ---- closing */

static const char *status_of(const struct delivery *delivery)
{
    /* Without a fetch, the kind of the event tells the status. */
    static const char *const statuses[EVENT_KINDS] = {[EVENT_CREATED] = "requires_input",
                                                      [EVENT_PROCESSING] = "processing",
                                                      [EVENT_CANCELED] = "canceled",
                                                      [EVENT_REDACTED] = "redacted"};
    return delivery->session ? delivery->session->status_text : statuses[delivery->entry->kind];
}

/* "email,onboarding": the effects that are in that state. */
static void write_effects(const struct delivery *delivery, enum job_effect_state state, char effects[64])
{
    const struct action_list *actions = actions_of(delivery);
    size_t used = 0;
    effects[0] = '\0';
    for (size_t i = 0; i < delivery->job.effect_count; i++) {
        if (delivery->job.effects[i] == state) {
            used += (size_t)snprintf(effects + used, 64 - used, "%s%s", used > 0 ? "," : "",
                                     action_names[actions->items[i]]);
        }
    }
}

static void note_ending(struct delivery *delivery)
{
    static const struct {
        enum telemetry_ending ending;
        const char *message;
    } endings[] = {
        [JOB_FINISH] = {ENDING_DONE, "event done"},
        [JOB_FINISH_SUPERSEDED] = {ENDING_SUPERSEDED, "event superseded"},
        [JOB_RETRY] = {ENDING_RETRIED, "event will be tried again"},
        [JOB_HOLD] = {ENDING_HELD, "event waits for a paused effect"},
        [JOB_BURY] = {ENDING_DEAD, "event moved to the dead letters"},
        [JOB_RELEASE] = {ENDING_HANDED_BACK, "event handed back"},
    };
    enum job_action action = delivery->order.action;
    telemetry_add(&delivery->worker->options.telemetry->endings[endings[action].ending], 1);
    struct log_field event = LOG_TEXT("event", delivery->entry->event);
    struct log_field type = LOG_TEXT("type", delivery->entry->type);
    struct log_field session = LOG_TEXT("session", delivery->entry->session);
    struct log_field reason = LOG_STRING("reason", delivery->job.fault.reason);
    struct log_field error = LOG_STRING("error", delivery->job.fault.error);
    struct log_field attempt = LOG_NUMBER("attempt", delivery->job.failures + 1);
    if (action == JOB_RETRY) {
        log_info(endings[action].message, event, type, session, reason, error, attempt,
                 LOG_NUMBER("delay_ms", delivery->order.delay_ms));
    } else if (action == JOB_BURY) {
        log_error(endings[action].message, event, type, session, reason, error, attempt);
    } else {
        log_info(endings[action].message, event, type, session,
                 LOG_NUMBER("age_ms", clock_wall_ms() - delivery->entry->received_ms));
    }
}

static void on_ended(struct lease_call *call, enum lease_outcome outcome)
{
    struct delivery *delivery = answered(call);
    if (holds(delivery, outcome)) {
        note_ending(delivery);
        step_event(delivery, JOB_CLOSED);
    }
}

static void end_event(struct delivery *delivery)
{
    static const char *const outcomes[] = {
        [JOB_FINISH] = "done", [JOB_FINISH_SUPERSEDED] = "superseded", [JOB_BURY] = "dead"};
    char effects[64];
    char skipped[64];
    write_effects(delivery, JOB_EFFECT_DONE, effects);
    write_effects(delivery, JOB_EFFECT_SKIPPED, skipped);
    struct lease_ending ending = {
        .user = delivery->session ? delivery->session->user : NULL,
        .status = status_of(delivery),
        .outcome = outcomes[delivery->order.action],
        .effects = effects,
        .skipped = skipped,
    };
    delivery->lease_call.callback = on_ended;
    if (delivery->order.action == JOB_BURY) {
        asked(delivery, lease_bury(&delivery->lease, &delivery->lease_call, &ending, &delivery->job.fault,
                                   delivery->job.failures + 1));
    } else {
        asked(delivery, lease_finish(&delivery->lease, &delivery->lease_call, &ending));
    }
}

/* The effect that it waits for; one that was resumed meanwhile will do, for then it goes on at once. */
static const char *held_effect(const struct delivery *delivery)
{
    for (size_t i = 0; i < delivery->job.effect_count; i++) {
        if (delivery->job.effects[i] == JOB_EFFECT_HELD) {
            return action_names[actions_of(delivery)->items[i]];
        }
    }
    enum action action = paused_effect(delivery);
    return action_names[action < ACTIONS ? action : 0];
}

static void schedule_event(struct delivery *delivery)
{
    delivery->lease_call.callback = on_ended;
    if (delivery->order.action == JOB_RETRY) {
        asked(delivery,
              lease_retry(&delivery->lease, &delivery->lease_call, delivery->order.delay_ms, &delivery->job.fault));
    } else if (delivery->order.action == JOB_HOLD) {
        asked(delivery, lease_hold(&delivery->lease, &delivery->lease_call, held_effect(delivery)));
    } else {
        asked(delivery, lease_release(&delivery->lease, &delivery->lease_call));
    }
}

static void forget(struct delivery *delivery)
{
    struct worker *worker = delivery->worker;
    /* Whoever still reports to it keeps it until then: see delivery_lose(). */
    session_free(delivery->session);
    buffer_wipe(&delivery->effect.mail);
    free(delivery->entry);
    worker_forget(worker, delivery);
}

/* ---- performing */

static void perform(struct delivery *delivery)
{
    switch (delivery->order.action) {
    case JOB_FETCH:
        if (delivery->entry->kind == EVENT_REDACTED) {
            act_on_session(delivery); /* of which nothing is needed */
        } else {
            look_up(delivery);
        }
        break;
    case JOB_ACT:
        run_effect(delivery);
        break;
    case JOB_RECORD:
        record_effect(delivery);
        break;
    case JOB_FINISH:
    case JOB_FINISH_SUPERSEDED:
    case JOB_BURY:
        end_event(delivery);
        break;
    case JOB_RETRY:
    case JOB_HOLD:
    case JOB_RELEASE:
        schedule_event(delivery);
        break;
    case JOB_FORGET:
        forget(delivery);
        break;
    case JOB_WAIT: /* the first order of all: nothing was stepped yet */
    default:
        open_ledger(delivery);
        break;
    }
}

/* ---- for the worker */

void delivery_start(struct worker *worker, struct entry *entry)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    if (!delivery) {
        free(entry); /* it stays pending, and is claimed when there is memory again */
        return;
    }
    delivery->worker = worker;
    delivery->entry = entry;
    delivery->lease = (struct lease){.queue = worker->options.queue,
                                     .consumer = worker->consumer,
                                     .entry = entry,
                                     .needs_turn = acts(delivery),
                                     .claim_after_ms = worker->options.settings->claim_after_ms};
    list_append(&worker->deliveries, &delivery->link);
    worker->active++;
    perform(delivery);
}

void delivery_continue(struct delivery *delivery)
{
    delivery->wait = DELIVERY_RUNNING;
    perform(delivery);
}

/* Breaks off what is under way; false: it cannot be, and will report. */
static bool abandon(struct delivery *delivery)
{
    if (delivery->redis_pending || !lookup_cancel(&delivery->lookup) ||
        (delivery->effect_running && !effect_abandon(&delivery->effect))) {
        return false;
    }
    delivery->effect_running = false;
    return true;
}

void delivery_lose(struct delivery *delivery)
{
    /* What Redis or the mailer will still report ends it there: every operation finds the lease gone. */
    if (abandon(delivery)) {
        end_lost(delivery);
    }
}

void delivery_stop(struct delivery *delivery)
{
    enum lookup_state state = delivery->lookup.state;
    if (state != LOOKUP_IDLE && state != LOOKUP_ASKING) { /* nothing has begun */
        delivery_break_off(delivery);
    } else {
        step_event(delivery, JOB_STOP);
    }
}

void delivery_break_off(struct delivery *delivery)
{
    /* Without Redis nothing can be handed back: others claim it. */
    if (abandon(delivery)) {
        step_event(delivery, delivery->wait == DELIVERY_STALLED ? JOB_LOST : JOB_BROKEN_OFF);
    }
}
