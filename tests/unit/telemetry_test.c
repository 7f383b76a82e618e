#include "unit.h"

#include <pthread.h>
#include <regex.h>

#include "app/telemetry.h"
#include "base/settings.h"

static struct telemetry first;
static struct telemetry second;
static const struct telemetry *const loops[] = {&first, &second};

static char *render(void)
{
    struct buffer out = {0};
    telemetry_render(loops, ARRAY_LENGTH(loops), &out);
    ck_assert_int_eq(buffer_status(&out), 0);
    return out.data;
}

/* The value of the sample that is written like this. */
static double sample(const char *text, const char *name)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    const char *found = strstr(text, line);
    ck_assert_msg(found != NULL, "there is no %s", name);
    return strtod(found + strlen(line), NULL);
}

START_TEST(figures_of_all_loops_are_added_up)
{
    telemetry_add(&first.answers[ANSWER_QUEUED], 3);
    telemetry_add(&second.answers[ANSWER_QUEUED], 4);
    telemetry_add(&second.answers[ANSWER_SIGNATURE_STALE], 1);
    telemetry_add(&first.effects[ACTION_ONBOARDING][RESULT_TRANSIENT], 5);
    telemetry_set(&first.waiting_for_redis, 9);
    telemetry_set(&first.waiting_for_redis, 2);
    telemetry_set(&second.waiting_for_redis, 1);
    telemetry_set(&second.lag_ns, 1500000);
    char *text = render();
    ck_assert_double_eq(sample(text, "identihook_requests_total{answer=\"queued\"}"), 7);
    ck_assert_double_eq(sample(text, "identihook_requests_total{answer=\"signature_stale\"}"), 1);
    ck_assert_double_eq(sample(text, "identihook_requests_total{answer=\"overloaded\"}"), 0);
    ck_assert_double_eq(sample(text, "identihook_effects_total{effect=\"onboarding\",result=\"transient\"}"), 5);
    ck_assert_double_eq(sample(text, "identihook_effects_total{effect=\"email\",result=\"transient\"}"), 0);
    ck_assert_double_eq(sample(text, "identihook_waiting_for_redis"), 3);
    ck_assert_double_eq(sample(text, "identihook_loop_lag_seconds{loop=\"1\"}"), 0.0015);
    free(text);
}
END_TEST

START_TEST(a_histogram_counts_up_and_its_bounds_belong_to_their_buckets)
{
    telemetry_observe(&first.confirm_time, 0);
    telemetry_observe(&first.confirm_time, 50000);
    telemetry_observe(&second.confirm_time, 50001);
    telemetry_observe(&second.confirm_time, UINT64_C(30000000000));
    telemetry_observe(&second.confirm_time, UINT64_C(30000000001));
    char *text = render();
    ck_assert_double_eq(sample(text, "identihook_confirm_duration_seconds_bucket{le=\"5e-05\"}"), 2);
    ck_assert_double_eq(sample(text, "identihook_confirm_duration_seconds_bucket{le=\"0.0001\"}"), 3);
    ck_assert_double_eq(sample(text, "identihook_confirm_duration_seconds_bucket{le=\"5\"}"), 3);
    ck_assert_double_eq(sample(text, "identihook_confirm_duration_seconds_bucket{le=\"30\"}"), 4);
    ck_assert_double_eq(sample(text, "identihook_confirm_duration_seconds_bucket{le=\"+Inf\"}"), 5);
    ck_assert_double_eq(sample(text, "identihook_confirm_duration_seconds_count"), 5);
    ck_assert_double_eq_tol(sample(text, "identihook_confirm_duration_seconds_sum"), 60.000100002, 1e-9);
    ck_assert_double_eq(sample(text, "identihook_answer_duration_seconds_count"), 0);
    free(text);
}
END_TEST

/* Prometheus's text format 0.0.4: each family has its HELP and TYPE once, in front, and its samples together. */
START_TEST(the_text_is_what_prometheus_reads)
{
    regex_t sample_line;
    char *text = render();
    char family[100] = "";
    struct text rest = text_of(text);
    ck_assert_int_eq(regcomp(&sample_line,
                             "^identihook_[a-z_]+(\\{[a-z]+=\"[-+.0-9A-Za-z_]+\"(,[a-z]+=\"[a-z_]+\")*\\})? "
                             "[0-9]+(\\.[0-9]+)?$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    while (rest.length > 0) {
        char line[300];
        struct text cut = text_cut(&rest, '\n');
        (void)snprintf(line, sizeof(line), "%.*s", TEXT_ARGUMENTS(cut));
        if (strncmp(line, "# HELP ", 7) == 0) {
            char head[120];
            ck_assert_int_eq(sscanf(line + 7, "%99s", family), 1);
            ck_assert_msg(line[strlen(line) - 1] == '.', "help is a sentence: %s", line);
            (void)snprintf(head, sizeof(head), "# TYPE %s ", family);
            ck_assert_msg(text_starts_with(rest, text_of(head)), "no TYPE after %s", line);
            (void)snprintf(head, sizeof(head), "# HELP %s ", family);
            ck_assert_msg(!strstr(rest.data, head), "%s comes twice", family);
            (void)text_cut(&rest, '\n');
        } else {
            ck_assert_msg(regexec(&sample_line, line, 0, NULL, 0) == 0, "%s", line);
            ck_assert_msg(strncmp(line, family, strlen(family)) == 0, "%s is not of %s", line, family);
        }
    }
    ck_assert_int_eq(text[strlen(text) - 1], '\n');
    regfree(&sample_line);
    free(text);
}
END_TEST

/* Label values come from tables in the code: none is missing, and none stands for two figures. */
START_TEST(every_sample_has_a_name_of_its_own)
{
    char *text = render();
    ck_assert_ptr_null(strstr(text, "(null)"));
    ck_assert_ptr_null(strstr(text, "\"\""));
    struct text rest = text_of(text);
    while (rest.length > 0) {
        char name[200];
        struct text line = text_cut(&rest, '\n');
        if (line.data[0] != '#' && rest.data) {
            struct text value = line;
            (void)snprintf(name, sizeof(name), "\n%.*s ", TEXT_ARGUMENTS(text_cut(&value, ' ')));
            ck_assert_msg(!strstr(rest.data - 1, name), "twice:%s", name);
        }
    }
    free(text);
}
END_TEST

#define COUNTS 200000

static void *count_on(void *context)
{
    for (size_t i = 0; i < COUNTS; i++) {
        telemetry_add(&first.answers[ANSWER_QUEUED], 1);
        telemetry_observe(&first.answer_time, i);
    }
    return context;
}

START_TEST(a_scrape_during_the_counting_is_consistent_and_nothing_is_lost)
{
    pthread_t thread;
    double before = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, count_on, NULL), 0);
    for (size_t i = 0; i < 50; i++) {
        char *text = render();
        double now = sample(text, "identihook_requests_total{answer=\"queued\"}");
        ck_assert_double_ge(now, before);
        ck_assert_double_eq(sample(text, "identihook_answer_duration_seconds_bucket{le=\"+Inf\"}"),
                            sample(text, "identihook_answer_duration_seconds_count"));
        before = now;
        free(text);
    }
    (void)pthread_join(thread, NULL);
    char *text = render();
    ck_assert_double_eq(sample(text, "identihook_requests_total{answer=\"queued\"}"), COUNTS);
    ck_assert_double_eq(sample(text, "identihook_answer_duration_seconds_count"), COUNTS);
    free(text);
}
END_TEST

/* At 10 s, with 5 s allowed. */
static bool loops_turn(uint64_t first_beat_ms, uint64_t second_beat_ms)
{
    telemetry_set(&first.heartbeat_ms, first_beat_ms);
    telemetry_set(&second.heartbeat_ms, second_beat_ms);
    return telemetry_loops_turn(loops, ARRAY_LENGTH(loops), 10000, 5000);
}

START_TEST(one_loop_that_does_not_turn_is_noticed_whichever_it_is)
{
    ck_assert(loops_turn(9900, 9500));
    ck_assert(loops_turn(5000, 5000));
    ck_assert(!loops_turn(4999, 9900));
    ck_assert(!loops_turn(9900, 4999));
    ck_assert(!loops_turn(1, 1));
}
END_TEST

START_TEST(a_loop_that_beat_after_the_question_was_asked_turns)
{
    ck_assert(loops_turn(10001, 20000));
}
END_TEST

START_TEST(a_loop_that_has_not_begun_or_has_ended_is_not_stuck)
{
    ck_assert(loops_turn(0, 9900));
    ck_assert(loops_turn(0, 0));
    ck_assert(!loops_turn(0, 4999));
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, one_loop_that_does_not_turn_is_noticed_whichever_it_is);
    tcase_add_test(tests, a_loop_that_beat_after_the_question_was_asked_turns);
    tcase_add_test(tests, a_loop_that_has_not_begun_or_has_ended_is_not_stuck);
    tcase_add_test(tests, figures_of_all_loops_are_added_up);
    tcase_add_test(tests, a_histogram_counts_up_and_its_bounds_belong_to_their_buckets);
    tcase_add_test(tests, the_text_is_what_prometheus_reads);
    tcase_add_test(tests, every_sample_has_a_name_of_its_own);
    tcase_add_test(tests, a_scrape_during_the_counting_is_consistent_and_nothing_is_lost);
}

int main(void)
{
    return unit_run("telemetry", fill);
}
