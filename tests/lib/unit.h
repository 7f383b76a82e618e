#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/environment.h"
#include "base/text.h"

/* Of the tests only the one that UNIT_TEST names, where it is set. */
static inline bool unit_is_wanted(const char *test)
{
    const char *only = getenv("UNIT_TEST");
    return !only || strcmp(only, test) == 0;
}

#undef tcase_add_test
#define tcase_add_test(tests, test) (unit_is_wanted(#test) ? tcase_add_loop_test(tests, test, 0, 1) : (void)0)

/* What every unit test needs: a case full of tests, run in processes of their own; main() returns unit_run(). */
static inline int unit_run(const char *name, void (*fill)(TCase *))
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 60);
    fill(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* The content of tests/data/NAME; to be freed with buffer_free(). */
static inline struct buffer unit_data(const char *name)
{
    struct buffer content = {0};
    char path[512];
    (void)snprintf(path, sizeof(path), TEST_DATA "/%s", name);
    ck_assert_msg(environment_read_file(path, &content) == 0, "%s cannot be read", path);
    return content;
}

/* A heap copy of exactly that many bytes, so that a read beyond the end is caught; to be freed. */
static inline struct text unit_exact(struct text text)
{
    char *copy = malloc(text.length ? text.length : 1);
    if (text.length) {
        memcpy(copy, text.data, text.length);
    }
    return (struct text){.data = copy, .length = text.length};
}

#define ck_assert_text_eq(actual, expected)                                                                            \
    do {                                                                                                               \
        struct text unit_actual = (actual);                                                                            \
        struct text unit_expected = text_of(expected);                                                                 \
        ck_assert_msg(text_equal(unit_actual, unit_expected), "'%.*s' is not '%.*s'", TEXT_ARGUMENTS(unit_actual),     \
                      TEXT_ARGUMENTS(unit_expected));                                                                  \
    } while (0)
