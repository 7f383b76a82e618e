#include "unit.h"

#include <errno.h>

#include "cli/moment.h"

#define NOW INT64_C(1790000000000)

START_TEST(moments_are_read_as_people_write_them)
{
    static const struct {
        const char *text;
        int64_t moment;
    } cases[] = {
        {"24h", NOW - 86400000},
        {"90s", NOW - 90000},
        {"1970-01-01", 0},
        {"2026-11-25", INT64_C(1795564800000)},
        {"2026-11-25T19:30Z", INT64_C(1795635000000)},
        {"2026-11-25T19:30:15Z", INT64_C(1795635015000)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t moment;
        ck_assert_msg(moment_parse(text_of(cases[i].text), NOW, &moment) == 0, "%s", cases[i].text);
        ck_assert_msg(moment == cases[i].moment, "%s", cases[i].text);
    }
}
END_TEST

START_TEST(what_is_no_moment_is_refused)
{
    static const char *const cases[] = {"",
                                        "24",
                                        "yesterday",
                                        "2026",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-11-32",
                                        "26-11-25",
                                        "2026-11-25T",
                                        "2026-11-25T19:30",
                                        "2026-11-25T24:00Z",
                                        "2026-11-25T19:30:15+01:00",
                                        "2026-11-25T19:30Z ",
                                        "1969-12-31"};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t moment;
        ck_assert_msg(moment_parse(text_of(cases[i]), NOW, &moment) == -EINVAL, "%s", cases[i]);
    }
}
END_TEST

START_TEST(what_is_longer_ago_than_1970_is_1970)
{
    int64_t moment;
    ck_assert_int_eq(moment_parse(TEXT("30000d"), NOW, &moment), 0);
    ck_assert_int_eq(moment, 0);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, moments_are_read_as_people_write_them);
    tcase_add_test(tests, what_is_no_moment_is_refused);
    tcase_add_test(tests, what_is_longer_ago_than_1970_is_1970);
}

int main(void)
{
    return unit_run("moment", fill);
}
