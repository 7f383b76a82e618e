#include "unit.h"

#include "core/retry.h"

#define HOUR UINT64_C(3600000)
#define MINUTE UINT64_C(60000)

static const struct {
    uint64_t delay_ms;
    uint64_t left_ms;
    uint64_t expected_ms;
} ends[] = {
    {6 * HOUR, 0, 6 * HOUR},         /* nothing ends */
    {6 * HOUR, 48 * HOUR, 6 * HOUR}, /* early enough */
    {6 * HOUR, 5 * HOUR, 4 * HOUR},  /* an hour before */
    {6 * HOUR, HOUR, 55 * MINUTE},   /* five minutes before */
    {6 * HOUR, 30 * MINUTE, 25 * MINUTE},
    {6 * HOUR, 5 * MINUTE, 270000}, /* half a minute before */
    {6 * HOUR, 30000, 6 * HOUR},    /* too late */
    {1000, 5 * HOUR, 1000},
};

START_TEST(a_try_comes_before_the_end)
{
    ck_assert_uint_eq(retry_before_end(ends[_i].delay_ms, ends[_i].left_ms), ends[_i].expected_ms);
}
END_TEST

START_TEST(the_delay_doubles_up_to_the_cap_and_is_drawn_below)
{
    ck_assert_uint_eq(retry_delay_ms(1, 100, 1000, 0, 100), 100);
    ck_assert_uint_eq(retry_delay_ms(1, 100, 1000, 0, 101), 0);
    ck_assert_uint_eq(retry_delay_ms(3, 100, 1000, 0, 400), 400);
    ck_assert_uint_eq(retry_delay_ms(30, 100, 1000, 0, 1000), 1000);
    ck_assert_uint_eq(retry_delay_ms(1, 100, 1000, 700, 50), 700);
    ck_assert_uint_eq(retry_delay_ms(1, 100, 1000, 5000, 50), 5000);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, a_try_comes_before_the_end, 0, (int)ARRAY_LENGTH(ends));
    tcase_add_test(tests, the_delay_doubles_up_to_the_cap_and_is_drawn_below);
}

int main(void)
{
    return unit_run("retry", fill);
}
