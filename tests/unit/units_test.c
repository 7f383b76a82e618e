#include "unit.h"

#include <errno.h>

#include "base/units.h"

enum kind { DURATION, SIZE, RATE, KINDS };

static int (*const parse[KINDS])(struct text, uint64_t *) = {units_parse_duration, units_parse_size, units_parse_rate};
static void (*const append[KINDS])(struct buffer *, uint64_t) = {units_append_duration, units_append_size,
                                                                 units_append_rate};

static const struct {
    enum kind kind;
    const char *text;
    uint64_t value;
    const char *shortest; /* as it is written back */
} good[] = {
    {DURATION, "0", 0, "0"},
    {DURATION, "0s", 0, "0"},
    {DURATION, "250ms", 250, "250ms"},
    {DURATION, "30s", 30000, "30s"},
    {DURATION, "5m", 300000, "5m"},
    {DURATION, "6h", 21600000, "6h"},
    {DURATION, "30d", UINT64_C(2592000000), "30d"},
    {DURATION, "1000ms", 1000, "1s"},
    {DURATION, "90s", 90000, "90s"},
    {DURATION, "3600s", 3600000, "1h"},
    {DURATION, "48h", 172800000, "2d"},
    {DURATION, "007s", 7000, "7s"},
    {DURATION, "18446744073709551615ms", UINT64_MAX, "18446744073709551615ms"},
    {SIZE, "0", 0, "0"},
    {SIZE, "1", 1, "1"},
    {SIZE, "4096", 4096, "4k"},
    {SIZE, "64k", 65536, "64k"},
    {SIZE, "1M", 1048576, "1M"},
    {SIZE, "1024M", 1073741824, "1G"},
    {SIZE, "2G", UINT64_C(2147483648), "2G"},
    {SIZE, "1025", 1025, "1025"},
    {RATE, "0", 0, "0"},
    {RATE, "20/s", 1200, "20/s"},
    {RATE, "100/m", 100, "100/m"},
    {RATE, "60/m", 60, "1/s"},
};

START_TEST(what_is_written_with_its_unit_is_read_and_written_back_the_shortest_way)
{
    struct buffer back = {0};
    struct text text = unit_exact(text_of(good[_i].text));
    uint64_t value;
    ck_assert_int_eq(parse[good[_i].kind](text, &value), 0);
    ck_assert_uint_eq(value, good[_i].value);
    append[good[_i].kind](&back, value);
    ck_assert_text_eq(buffer_text(&back), good[_i].shortest);
    ck_assert_int_eq(parse[good[_i].kind](buffer_text(&back), &value), 0);
    ck_assert_uint_eq(value, good[_i].value);
    buffer_free(&back);
    free((char *)(uintptr_t)text.data);
}
END_TEST

static const struct {
    enum kind kind;
    const char *text;
    int status;
} bad[] = {
    {DURATION, "", -EINVAL},
    {DURATION, "5", -EINVAL},
    {DURATION, "s", -EINVAL},
    {DURATION, "-5s", -EINVAL},
    {DURATION, "+5s", -EINVAL},
    {DURATION, " 5s", -EINVAL},
    {DURATION, "5 s", -EINVAL},
    {DURATION, "5s ", -EINVAL},
    {DURATION, "5S", -EINVAL},
    {DURATION, "5ss", -EINVAL},
    {DURATION, "1.5s", -EINVAL},
    {DURATION, "1h30m", -EINVAL},
    {DURATION, "0x10s", -EINVAL},
    {DURATION, "18446744073709551616ms", -ERANGE},
    {DURATION, "18446744073709552s", -ERANGE},
    {DURATION, "99999999999999999999d", -ERANGE},
    {SIZE, "", -EINVAL},
    {SIZE, "k", -EINVAL},
    {SIZE, "1 MB", -EINVAL},
    {SIZE, "1MB", -EINVAL},
    {SIZE, "64K", -EINVAL},
    {SIZE, "17179869184G", -ERANGE},
    {RATE, "20", -EINVAL},
    {RATE, "20/", -EINVAL},
    {RATE, "20/h", -EINVAL},
    {RATE, "/s", -EINVAL},
    {RATE, "307445734561825861/s", -ERANGE},
};

START_TEST(what_is_no_quantity_is_refused)
{
    struct text text = unit_exact(text_of(bad[_i].text));
    uint64_t value;
    ck_assert_msg(parse[bad[_i].kind](text, &value) == bad[_i].status, "%s", bad[_i].text);
    free((char *)(uintptr_t)text.data);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, what_is_written_with_its_unit_is_read_and_written_back_the_shortest_way, 0,
                        (int)ARRAY_LENGTH(good));
    tcase_add_loop_test(tests, what_is_no_quantity_is_refused, 0, (int)ARRAY_LENGTH(bad));
}

int main(void)
{
    return unit_run("units", fill);
}
