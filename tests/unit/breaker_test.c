#include "unit.h"

#include "core/breaker.h"

static const struct breaker_limits limits = {.faults = 3, .pause_ms = 100, .pause_most_ms = 350};
static struct breaker breaker;
static uint64_t now = 1000;

static uint64_t refused(void)
{
    uint64_t wait_ms = 0;
    ck_assert(!breaker_ask(&breaker, now, &wait_ms));
    return wait_ms;
}

static void passes(void)
{
    uint64_t wait_ms;
    ck_assert(breaker_ask(&breaker, now, &wait_ms));
}

static bool tell(enum breaker_news news)
{
    return breaker_tell(&breaker, &limits, now, news);
}

static void break_it(void)
{
    passes();
    ck_assert(!tell(BREAKER_FAULT));
    ck_assert(!tell(BREAKER_FAULT));
    ck_assert(tell(BREAKER_FAULT));
    ck_assert(breaker_is_open(&breaker));
}

START_TEST(it_opens_after_so_many_faults_in_a_row)
{
    break_it();
    ck_assert_uint_eq(refused(), 100);
    now += 40;
    ck_assert_uint_eq(refused(), 60);
}
END_TEST

START_TEST(a_success_in_between_starts_the_row_anew)
{
    (void)tell(BREAKER_FAULT);
    (void)tell(BREAKER_FAULT);
    ck_assert(!tell(BREAKER_SUCCESS));
    (void)tell(BREAKER_FAULT);
    ck_assert(!tell(BREAKER_FAULT));
    passes();
}
END_TEST

START_TEST(what_says_nothing_neither_opens_nor_mends)
{
    (void)tell(BREAKER_FAULT);
    (void)tell(BREAKER_FAULT);
    for (int i = 0; i < 10; i++) {
        ck_assert(!tell(BREAKER_UNKNOWN));
    }
    ck_assert(!breaker_is_open(&breaker));
    ck_assert(tell(BREAKER_FAULT));
}
END_TEST

START_TEST(after_the_pause_one_at_a_time_may_probe)
{
    break_it();
    now += 100;
    passes();
    ck_assert_uint_gt(refused(), 0);
    ck_assert_uint_gt(refused(), 0);
    ck_assert(tell(BREAKER_SUCCESS));
    passes();
    passes();
}
END_TEST

START_TEST(each_probe_that_fails_makes_the_pause_longer_up_to_a_limit)
{
    static const uint64_t pauses[] = {100, 200, 350, 350};
    break_it();
    for (size_t i = 0; i < ARRAY_LENGTH(pauses); i++) {
        ck_assert_uint_eq(refused(), pauses[i]);
        now += pauses[i];
        passes();
        ck_assert(!tell(BREAKER_FAULT));
    }
    now += 350;
    passes();
    ck_assert(tell(BREAKER_SUCCESS));
    break_it(); /* and then it is the first one again */
    ck_assert_uint_eq(refused(), 100);
}
END_TEST

START_TEST(a_probe_that_was_given_up_makes_room_for_another)
{
    break_it();
    now += 100;
    passes();
    ck_assert(!tell(BREAKER_UNKNOWN));
    passes();
    ck_assert_uint_gt(refused(), 0);
}
END_TEST

START_TEST(what_began_before_it_opened_does_not_prolong_the_pause)
{
    break_it();
    now += 50;
    ck_assert(!tell(BREAKER_FAULT));
    ck_assert_uint_eq(refused(), 50);
    ck_assert(tell(BREAKER_SUCCESS)); /* but one that succeeds closes it */
    passes();
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, it_opens_after_so_many_faults_in_a_row);
    tcase_add_test(tests, a_success_in_between_starts_the_row_anew);
    tcase_add_test(tests, what_says_nothing_neither_opens_nor_mends);
    tcase_add_test(tests, after_the_pause_one_at_a_time_may_probe);
    tcase_add_test(tests, each_probe_that_fails_makes_the_pause_longer_up_to_a_limit);
    tcase_add_test(tests, a_probe_that_was_given_up_makes_room_for_another);
    tcase_add_test(tests, what_began_before_it_opened_does_not_prolong_the_pause);
}

int main(void)
{
    return unit_run("breaker", fill);
}
