#include "unit.h"

#include "core/decision.h"
#include "core/job.h"
#include "core/retry.h"

static const struct job_limits limits = {.max_attempts = 3, .retry_base_ms = 100, .retry_cap_ms = 1000};
static const struct job_fault passing = {.reason = "passing", .error = "it may pass"};
static const struct job_fault staying = {.reason = "staying", .error = "it stays"};

static struct job_order give(struct job *job, enum job_event event)
{
    struct job_input input = {.event = event, .fault = event == JOB_FAILED ? &staying : &passing, .random = 50};
    return job_step(job, &limits, &input);
}

static struct job_order fetched(struct job *job, size_t effects)
{
    struct job_input input = {.event = JOB_FETCHED, .effect_count = effects};
    return job_step(job, &limits, &input);
}

static struct job opened(unsigned failures)
{
    struct job job = {0};
    struct job_input input = {.event = JOB_OPENED, .failures = failures};
    ck_assert_int_eq(job_step(&job, &limits, &input).action, JOB_FETCH);
    return job;
}

START_TEST(an_event_goes_from_open_to_finished)
{
    struct job job = opened(0);
    ck_assert_int_eq(fetched(&job, 2).action, JOB_ACT);
    ck_assert_uint_eq(job.effect, 0);
    ck_assert_int_eq(give(&job, JOB_SUCCEEDED).action, JOB_RECORD);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_ACT);
    ck_assert_uint_eq(job.effect, 1);
    ck_assert_int_eq(give(&job, JOB_SUCCEEDED).action, JOB_RECORD);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_FINISH);
    ck_assert_int_eq(give(&job, JOB_CLOSED).action, JOB_FORGET);
}
END_TEST

START_TEST(an_event_that_sets_nothing_off_is_finished_without_a_fetch)
{
    struct job job = {0};
    struct job_input input = {.event = JOB_OPENED_IDLE};
    ck_assert_int_eq(job_step(&job, &limits, &input).action, JOB_FINISH);
}
END_TEST

START_TEST(an_overtaken_event_is_superseded)
{
    struct job job = opened(0);
    ck_assert_int_eq(give(&job, JOB_SUPERSEDED).action, JOB_FINISH_SUPERSEDED);
}
END_TEST

START_TEST(a_failed_fetch_is_retried_and_at_last_buried)
{
    for (unsigned failures = 0; failures < limits.max_attempts; failures++) {
        struct job job = opened(failures);
        struct job_order order = give(&job, JOB_DEFERRED);
        if (failures + 1 < limits.max_attempts) {
            ck_assert_int_eq(order.action, JOB_RETRY);
            ck_assert_uint_le(order.delay_ms, limits.retry_base_ms << failures);
        } else {
            ck_assert_int_eq(order.action, JOB_BURY);
            ck_assert_str_eq(job.fault.reason, "attempts_exhausted");
            ck_assert_ptr_nonnull(strstr(job.fault.error, "passing"));
        }
    }
}
END_TEST

START_TEST(a_fetch_that_fails_for_good_buries_at_once)
{
    struct job job = opened(0);
    ck_assert_int_eq(give(&job, JOB_FAILED).action, JOB_BURY);
    ck_assert_str_eq(job.fault.reason, "staying");
}
END_TEST

START_TEST(a_failure_that_may_pass_does_not_hold_up_the_next_effect)
{
    struct job job = opened(0);
    (void)fetched(&job, 2);
    ck_assert_int_eq(give(&job, JOB_DEFERRED).action, JOB_ACT);
    ck_assert_uint_eq(job.effect, 1);
    (void)give(&job, JOB_SUCCEEDED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_RETRY);
}
END_TEST

START_TEST(what_the_ledger_has_is_not_done_again)
{
    struct job job = opened(1);
    struct job_input input = {.event = JOB_FETCHED, .effect_count = 2, .effects = {JOB_EFFECT_DONE, JOB_EFFECT_TODO}};
    ck_assert_int_eq(job_step(&job, &limits, &input).action, JOB_ACT);
    ck_assert_uint_eq(job.effect, 1);
}
END_TEST

START_TEST(a_failure_that_stays_is_recorded_and_buries_when_the_rest_is_done)
{
    struct job job = opened(0);
    (void)fetched(&job, 2);
    ck_assert_int_eq(give(&job, JOB_FAILED).action, JOB_RECORD);
    ck_assert_int_eq(job.effects[0], JOB_EFFECT_FAILED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_ACT);
    (void)give(&job, JOB_SUCCEEDED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_BURY);
    ck_assert_str_eq(job.fault.reason, "staying");
}
END_TEST

START_TEST(an_effect_with_nothing_to_do_is_recorded_and_not_asked_again)
{
    struct job job = opened(0);
    (void)fetched(&job, 2);
    ck_assert_int_eq(give(&job, JOB_SKIPPED).action, JOB_RECORD);
    ck_assert_int_eq(job.effects[0], JOB_EFFECT_SKIPPED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_ACT);
    (void)give(&job, JOB_SUCCEEDED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_FINISH);

    struct job again = opened(1);
    struct job_input input = {
        .event = JOB_FETCHED, .effect_count = 2, .effects = {JOB_EFFECT_SKIPPED, JOB_EFFECT_TODO}, .fault = &staying};
    ck_assert_int_eq(job_step(&again, &limits, &input).action, JOB_ACT);
    ck_assert_uint_eq(again.effect, 1);
}
END_TEST

START_TEST(what_may_pass_is_retried_before_what_stays_buries)
{
    struct job job = opened(0);
    (void)fetched(&job, 2);
    (void)give(&job, JOB_FAILED);
    (void)give(&job, JOB_RECORDED);
    ck_assert_int_eq(give(&job, JOB_DEFERRED).action, JOB_RETRY);
    ck_assert_str_eq(job.fault.reason, "staying"); /* the operator is shown what stays */

    struct job again = opened(1);
    struct job_input input = {
        .event = JOB_FETCHED, .effect_count = 2, .effects = {JOB_EFFECT_FAILED, JOB_EFFECT_TODO}, .fault = &staying};
    ck_assert_int_eq(job_step(&again, &limits, &input).action, JOB_ACT);
    (void)give(&again, JOB_SUCCEEDED);
    ck_assert_int_eq(give(&again, JOB_RECORDED).action, JOB_BURY);
    ck_assert_str_eq(again.fault.reason, "staying");
}
END_TEST

START_TEST(an_event_that_killed_its_owners_is_buried)
{
    for (unsigned takeovers = JOB_TAKEOVERS_MAXIMUM; takeovers <= JOB_TAKEOVERS_MAXIMUM + 1; takeovers++) {
        struct job job = {0};
        struct job_input input = {.event = JOB_OPENED, .takeovers = takeovers};
        ck_assert_int_eq(job_step(&job, &limits, &input).action,
                         takeovers > JOB_TAKEOVERS_MAXIMUM ? JOB_BURY : JOB_FETCH);
    }
}
END_TEST

START_TEST(stopping_hands_back_after_the_step_at_hand)
{
    struct job job = opened(0);
    (void)fetched(&job, 2);
    ck_assert_int_eq(give(&job, JOB_STOP).action, JOB_WAIT);
    ck_assert_int_eq(give(&job, JOB_SUCCEEDED).action, JOB_RECORD); /* what is done is recorded all the same */
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_RELEASE);
}
END_TEST

START_TEST(stopping_finishes_what_needs_no_more_work)
{
    struct job job = opened(0);
    (void)fetched(&job, 1);
    (void)give(&job, JOB_STOP);
    (void)give(&job, JOB_SUCCEEDED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_FINISH);
}
END_TEST

START_TEST(what_was_broken_off_is_handed_back)
{
    for (size_t effects = 0; effects <= 1; effects++) {
        struct job job = opened(0);
        if (effects > 0) {
            (void)fetched(&job, effects);
        }
        (void)give(&job, JOB_STOP);
        ck_assert_int_eq(give(&job, JOB_BROKEN_OFF).action, JOB_RELEASE);
        ck_assert_int_eq(give(&job, JOB_CLOSED).action, JOB_FORGET);
    }
}
END_TEST

START_TEST(a_paused_effect_is_passed_over_and_waited_for_when_nothing_else_is_left)
{
    struct job job = opened(2);
    (void)fetched(&job, 2);
    ck_assert_int_eq(give(&job, JOB_HELD).action, JOB_ACT);
    ck_assert_uint_eq(job.effect, 1);
    ck_assert_int_eq(give(&job, JOB_SUCCEEDED).action, JOB_RECORD);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_HOLD); /* and not a third failure, which would bury it */
    struct job idle = {0};
    ck_assert_int_eq(give(&idle, JOB_OPENED_HELD).action, JOB_HOLD);
}
END_TEST

START_TEST(beside_a_paused_effect_what_may_pass_is_retried_and_what_stays_does_not_bury)
{
    struct job job = opened(0);
    (void)fetched(&job, 2);
    (void)give(&job, JOB_HELD);
    ck_assert_int_eq(give(&job, JOB_DEFERRED).action, JOB_RETRY);
    job = opened(0);
    (void)fetched(&job, 2);
    (void)give(&job, JOB_FAILED);
    ck_assert_int_eq(give(&job, JOB_RECORDED).action, JOB_ACT);
    ck_assert_int_eq(give(&job, JOB_HELD).action, JOB_HOLD);
}
END_TEST

START_TEST(a_lost_event_is_forgotten_in_every_state)
{
    struct job job = {.state = (enum job_state)_i};
    ck_assert_int_eq(give(&job, JOB_LOST).action, JOB_FORGET);
    ck_assert_int_eq(job.state, JOB_ENDED);
}
END_TEST

/* ---- every way that two effects can end, over as many tries as it takes */

struct walk {
    unsigned runs[2]; /* of each effect */
    bool done[2];     /* by the ledger */
    bool failed[2];
    unsigned closings;
};

/* Plays one try; `script` supplies how each effect that runs ends: 0 succeeds, 1 may pass, 2 stays. Returns the closing
 * action. */
static enum job_action play(struct walk *walk, unsigned failures, unsigned *script)
{
    struct job job = opened(failures);
    struct job_input input = {.event = JOB_FETCHED, .effect_count = 2, .fault = &staying};
    for (size_t i = 0; i < 2; i++) {
        input.effects[i] = walk->done[i] ? JOB_EFFECT_DONE : walk->failed[i] ? JOB_EFFECT_FAILED : JOB_EFFECT_TODO;
    }
    struct job_order order = job_step(&job, &limits, &input);
    while (order.action == JOB_ACT || order.action == JOB_RECORD) {
        size_t effect = job.effect;
        if (order.action == JOB_RECORD) {
            walk->done[effect] = job.effects[effect] == JOB_EFFECT_DONE;
            walk->failed[effect] = job.effects[effect] == JOB_EFFECT_FAILED;
            order = give(&job, JOB_RECORDED);
            continue;
        }
        ck_assert_msg(!walk->done[effect] && !walk->failed[effect], "an effect that had ended was run again");
        walk->runs[effect]++;
        static const enum job_event events[] = {JOB_SUCCEEDED, JOB_DEFERRED, JOB_FAILED};
        order = give(&job, events[*script % 3]);
        *script /= 3;
    }
    ck_assert_int_eq(job.state, JOB_CLOSING);
    ck_assert_int_eq(give(&job, JOB_CLOSED).action, JOB_FORGET);
    walk->closings++;
    return order.action;
}

START_TEST(no_effect_is_repeated_and_no_event_is_left_however_effects_end)
{
    for (unsigned start = 0; start < 729; start++) { /* 3 ^ 6: two effects in three tries */
        unsigned script = start;
        struct walk walk = {0};
        unsigned failures = 0;
        enum job_action action;
        do {
            action = play(&walk, failures, &script);
            failures++;
        } while (action == JOB_RETRY);
        ck_assert_uint_le(failures, limits.max_attempts);
        ck_assert_uint_eq(walk.closings, failures);
        ck_assert_int_eq(action, walk.done[0] && walk.done[1] ? JOB_FINISH : JOB_BURY);
    }
}
END_TEST

/* ---- retry */

START_TEST(the_delay_is_within_its_bounds)
{
    for (unsigned failures = 1; failures < 200; failures++) {
        uint64_t ceiling = failures > 20 ? 1000 : 100u << (failures - 1);
        ceiling = ceiling > 1000 ? 1000 : ceiling;
        ck_assert_uint_eq(retry_delay_ms(failures, 100, 1000, 0, 0), 0);
        ck_assert_uint_eq(retry_delay_ms(failures, 100, 1000, 0, ceiling), ceiling);
        ck_assert_uint_le(retry_delay_ms(failures, 100, 1000, 0, UINT64_MAX), ceiling);
    }
}
END_TEST

START_TEST(the_delay_is_no_shorter_than_was_asked_for_whatever_the_cap)
{
    ck_assert_uint_eq(retry_delay_ms(1, 100, 1000, 700, 3), 700);
    ck_assert_uint_eq(retry_delay_ms(1, 100, 1000, 5000, 3), 5000);
    ck_assert_uint_eq(retry_delay_ms(1000000, UINT64_MAX, UINT64_MAX, 0, 7), 7);
}
END_TEST

/* ---- decision */

static const struct {
    enum event_kind kind;
    enum session_status status;
    bool has_error;
    bool redacted;
    enum decision decision;
} decisions[] = {
    {EVENT_VERIFIED, SESSION_VERIFIED, false, false, DECISION_ACT},
    {EVENT_VERIFIED, SESSION_VERIFIED, false, true, DECISION_SUPERSEDED},
    {EVENT_VERIFIED, SESSION_REQUIRES_INPUT, true, false, DECISION_SUPERSEDED},
    {EVENT_VERIFIED, SESSION_UNKNOWN, false, false, DECISION_SUPERSEDED},
    {EVENT_REQUIRES_INPUT, SESSION_REQUIRES_INPUT, true, false, DECISION_ACT},
    {EVENT_REQUIRES_INPUT, SESSION_REQUIRES_INPUT, false, false, DECISION_SUPERSEDED},
    {EVENT_REQUIRES_INPUT, SESSION_VERIFIED, true, false, DECISION_SUPERSEDED},
    {EVENT_REQUIRES_INPUT, SESSION_PROCESSING, true, false, DECISION_SUPERSEDED},
    {EVENT_REQUIRES_INPUT, SESSION_CANCELED, true, false, DECISION_SUPERSEDED},
};

START_TEST(the_session_decides_and_not_the_event)
{
    struct session session = {
        .status = decisions[_i].status, .has_error = decisions[_i].has_error, .redacted = decisions[_i].redacted};
    ck_assert(decision_is_needed(decisions[_i].kind));
    ck_assert_int_eq(decision_make(decisions[_i].kind, &session), decisions[_i].decision);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, an_event_goes_from_open_to_finished);
    tcase_add_test(tests, an_event_that_sets_nothing_off_is_finished_without_a_fetch);
    tcase_add_test(tests, an_overtaken_event_is_superseded);
    tcase_add_test(tests, a_failed_fetch_is_retried_and_at_last_buried);
    tcase_add_test(tests, a_fetch_that_fails_for_good_buries_at_once);
    tcase_add_test(tests, a_failure_that_may_pass_does_not_hold_up_the_next_effect);
    tcase_add_test(tests, what_the_ledger_has_is_not_done_again);
    tcase_add_test(tests, a_failure_that_stays_is_recorded_and_buries_when_the_rest_is_done);
    tcase_add_test(tests, an_effect_with_nothing_to_do_is_recorded_and_not_asked_again);
    tcase_add_test(tests, what_may_pass_is_retried_before_what_stays_buries);
    tcase_add_test(tests, an_event_that_killed_its_owners_is_buried);
    tcase_add_test(tests, stopping_hands_back_after_the_step_at_hand);
    tcase_add_test(tests, what_was_broken_off_is_handed_back);
    tcase_add_test(tests, a_paused_effect_is_passed_over_and_waited_for_when_nothing_else_is_left);
    tcase_add_test(tests, beside_a_paused_effect_what_may_pass_is_retried_and_what_stays_does_not_bury);
    tcase_add_test(tests, stopping_finishes_what_needs_no_more_work);
    tcase_add_loop_test(tests, a_lost_event_is_forgotten_in_every_state, 0, JOB_ENDED);
    tcase_add_test(tests, no_effect_is_repeated_and_no_event_is_left_however_effects_end);
    tcase_add_test(tests, the_delay_is_within_its_bounds);
    tcase_add_test(tests, the_delay_is_no_shorter_than_was_asked_for_whatever_the_cap);
    tcase_add_loop_test(tests, the_session_decides_and_not_the_event, 0, (int)ARRAY_LENGTH(decisions));
}

int main(void)
{
    return unit_run("job", fill);
}
