#include "unit.h"

#include <errno.h>

#include "base/endpoint.h"

static const struct {
    const char *text;
    const char *host;
    unsigned port;
} good[] = {
    {"127.0.0.1:4242", "127.0.0.1", 4242},
    {"0.0.0.0:0", "0.0.0.0", 0},
    {"[::1]:65535", "::1", 65535},
    {"[::]:80", "::", 80},
    {"[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1", 80},
};

START_TEST(an_endpoint_is_a_numeric_address_and_a_port)
{
    struct endpoint endpoint;
    struct text text = unit_exact(text_of(good[_i].text));
    ck_assert_int_eq(endpoint_parse(text, &endpoint), 0);
    ck_assert_str_eq(endpoint.host, good[_i].host);
    ck_assert_uint_eq(endpoint.port, good[_i].port);
    free((char *)(uintptr_t)text.data);
}
END_TEST

static const char *const bad[] = {
    "",
    ":",
    "4242",
    ":4242",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "1.2.3:80",
    "1.2.3.256:80",
    "localhost:80",
    "::1:80",
    "[::1]",
    "[::1]80",
    "[127.0.0.1]:80",
    "[]:80",
    "[::1:80",
    "*:80",
    " 127.0.0.1:80",
    "127.0.0.1:80 ",
    "127.0.0.1:+80",
    "http://127.0.0.1:80",
};

START_TEST(what_is_no_endpoint_is_refused)
{
    struct endpoint endpoint;
    struct text text = unit_exact(text_of(bad[_i]));
    ck_assert_msg(endpoint_parse(text, &endpoint) == -EINVAL, "%s", bad[_i]);
    free((char *)(uintptr_t)text.data);
}
END_TEST

START_TEST(an_endpoint_with_a_nul_in_it_is_not_cut_there)
{
    struct endpoint endpoint;
    ck_assert_int_eq(endpoint_parse(TEXT("127.0.0.1\0x:80"), &endpoint), -EINVAL);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, an_endpoint_is_a_numeric_address_and_a_port, 0, (int)ARRAY_LENGTH(good));
    tcase_add_loop_test(tests, what_is_no_endpoint_is_refused, 0, (int)ARRAY_LENGTH(bad));
    tcase_add_test(tests, an_endpoint_with_a_nul_in_it_is_not_cut_there);
}

int main(void)
{
    return unit_run("endpoint", fill);
}
