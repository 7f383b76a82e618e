#include "core/job.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/retry.h"

void job_fault_set(struct job_fault *fault, const char *reason, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)snprintf(fault->reason, sizeof(fault->reason), "%s", reason);
    (void)vsnprintf(fault->error, sizeof(fault->error), format, list);
    va_end(list);
}

static struct job_order order(enum job_action action)
{
    return (struct job_order){.action = action};
}

/* ---- closing: the one place where an event leaves a worker */

static struct job_order close_with(struct job *job, enum job_action action)
{
    job->state = JOB_CLOSING;
    return order(action);
}

static struct job_order bury(struct job *job)
{
    return close_with(job, JOB_BURY);
}

static struct job_order retry(struct job *job, const struct job_limits *limits, uint64_t random)
{
    unsigned failures = job->failures + 1;
    if (failures >= limits->max_attempts) {
        struct job_fault last = job->fault;
        job_fault_set(&job->fault, "attempts_exhausted", "%u tries have failed; the last: %s: %s", failures,
                      last.reason, last.error);
        return bury(job);
    }
    struct job_order retry_order = close_with(job, JOB_RETRY);
    uint64_t delay_ms =
        retry_delay_ms(failures, limits->retry_base_ms, limits->retry_cap_ms, job->retry_after_ms, random);
    uint64_t in_time_ms = retry_before_end(delay_ms, limits->left_ms);
    /* What the other side asked for still holds; it is at most the delay. */
    bool too_soon = in_time_ms < job->retry_after_ms;
    retry_order.delay_ms = !too_soon ? in_time_ms : delay_ms < job->retry_after_ms ? delay_ms : job->retry_after_ms;
    return retry_order;
}

/* ---- failures */

/* A failure that stays is what the operator must see, so a passing one does not overwrite it. */
static void note_fault(struct job *job, const struct job_input *input)
{
    if (input->event == JOB_FAILED) {
        job->failed = true;
        job->fault = *input->fault;
        return;
    }
    job->deferred = true;
    if (input->retry_after_ms > job->retry_after_ms) {
        job->retry_after_ms = input->retry_after_ms;
    }
    if (!job->failed) {
        job->fault = *input->fault;
    }
}

/* ---- the effects, in their order */

static struct job_order next_effect(struct job *job, const struct job_limits *limits, uint64_t random)
{
    for (job->effect = 0; job->effect < job->effect_count; job->effect++) {
        if (job->effects[job->effect] == JOB_EFFECT_TODO) {
            job->state = JOB_ACTING;
            return job->stopping ? close_with(job, JOB_RELEASE) : order(JOB_ACT);
        }
    }
    if (job->deferred) {
        return retry(job, limits, random);
    }
    if (job->held) {
        return close_with(job, JOB_HOLD);
    }
    return job->failed ? bury(job) : close_with(job, JOB_FINISH);
}

static struct job_order record(struct job *job, enum job_effect_state state)
{
    job->effects[job->effect] = state;
    job->state = JOB_RECORDING;
    return order(JOB_RECORD);
}

/* ---- one function per state */

static struct job_order step_opening(struct job *job, const struct job_input *input)
{
    assert(input->event == JOB_OPENED || input->event == JOB_OPENED_IDLE || input->event == JOB_OPENED_HELD);
    job->failures = input->failures;
    if (input->takeovers > JOB_TAKEOVERS_MAXIMUM) {
        job_fault_set(&job->fault, "owner_died_repeatedly",
                      "%u workers in a row fell silent while they had this event: look for crashes in their logs",
                      input->takeovers);
        return bury(job);
    }
    if (job->stopping) {
        return close_with(job, JOB_RELEASE);
    }
    if (input->event == JOB_OPENED_IDLE) {
        return close_with(job, JOB_FINISH);
    }
    if (input->event == JOB_OPENED_HELD) {
        return close_with(job, JOB_HOLD);
    }
    job->state = JOB_FETCHING;
    return order(JOB_FETCH);
}

static struct job_order step_fetching(struct job *job, const struct job_limits *limits, const struct job_input *input)
{
    switch (input->event) {
    case JOB_FETCHED:
        job->effect_count = input->effect_count;
        for (size_t i = 0; i < input->effect_count; i++) {
            job->effects[i] = input->effects[i];
            if (input->effects[i] == JOB_EFFECT_FAILED) {
                job->failed = true;
                job->fault = *input->fault;
            }
        }
        return next_effect(job, limits, input->random);
    case JOB_SUPERSEDED:
        return close_with(job, JOB_FINISH_SUPERSEDED);
    case JOB_DEFERRED:
        note_fault(job, input);
        return retry(job, limits, input->random);
    case JOB_FAILED:
    default:
        assert(input->event == JOB_FAILED);
        note_fault(job, input);
        return bury(job);
    }
}

static struct job_order step_acting(struct job *job, const struct job_limits *limits, const struct job_input *input)
{
    switch (input->event) {
    case JOB_SUCCEEDED:
        return record(job, JOB_EFFECT_DONE);
    case JOB_SKIPPED:
        return record(job, JOB_EFFECT_SKIPPED);
    case JOB_DEFERRED:
        note_fault(job, input);
        job->effects[job->effect] = JOB_EFFECT_DEFERRED;
        return next_effect(job, limits, input->random);
    case JOB_HELD:
        job->held = true;
        job->effects[job->effect] = JOB_EFFECT_HELD;
        return next_effect(job, limits, input->random);
    case JOB_FAILED:
    default:
        assert(input->event == JOB_FAILED);
        note_fault(job, input);
        return record(job, JOB_EFFECT_FAILED);
    }
}

struct job_order job_step(struct job *job, const struct job_limits *limits, const struct job_input *input)
{
    if (input->event == JOB_LOST) {
        job->state = JOB_ENDED;
        return order(JOB_FORGET);
    }
    if (input->event == JOB_STOP) {
        job->stopping = true;
        return order(JOB_WAIT);
    }
    if (input->event == JOB_BROKEN_OFF) {
        return close_with(job, JOB_RELEASE);
    }
    switch (job->state) {
    case JOB_OPENING:
        return step_opening(job, input);
    case JOB_FETCHING:
        return step_fetching(job, limits, input);
    case JOB_ACTING:
        return step_acting(job, limits, input);
    case JOB_RECORDING:
        assert(input->event == JOB_RECORDED);
        return next_effect(job, limits, input->random);
    case JOB_CLOSING:
        assert(input->event == JOB_CLOSED);
        job->state = JOB_ENDED;
        return order(JOB_FORGET);
    case JOB_ENDED:
    default:
        assert(false && "an ended job is driven on");
        return order(JOB_FORGET);
    }
}
