#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/library.h"

/* libm, which every system has, with functions of different types. */
#define FUNCTIONS(X) X(cos) X(ldexp) X(lround)

struct functions {
    FUNCTIONS(LIBRARY_POINTER)
};

static const char *const symbols[] = {FUNCTIONS(LIBRARY_SYMBOL)};
static struct functions functions;
static struct buffer fault;

static int open_one_of(const char *const *files, const char *const *names)
{
    struct library library = {
        .name = "libmathematics",
        .files = files,
        .packages = "libm4 (Debian 12) or libm4t64 (Debian 13)",
        .symbols = names,
        .symbol_count = ARRAY_LENGTH(symbols),
        .functions = &functions,
    };
    buffer_free(&fault);
    memset(&functions, 0, sizeof(functions));
    return library_open(&library, &fault);
}

static void expect_fault(const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(strstr(fault.data, words[i]) != NULL, "'%s' is not in: %s", words[i], fault.data);
    }
    buffer_free(&fault);
}

START_TEST(functions_are_called_through_the_table)
{
    ck_assert_int_eq(open_one_of((const char *const[]){"libm.so.6", NULL}, symbols), 0);
    ck_assert(functions.cos(0.0) == 1.0);
    ck_assert(functions.ldexp(3.0, 2) == 12.0);
    ck_assert_int_eq(functions.lround(2.5), 3);
    ck_assert_uint_eq(fault.length, 0);
}
END_TEST

START_TEST(the_first_file_that_opens_is_taken)
{
    ck_assert_int_eq(open_one_of((const char *const[]){"libm.so.999", "libm.so.6", NULL}, symbols), 0);
    ck_assert(functions.cos(0.0) == 1.0);
    ck_assert_uint_eq(fault.length, 0);
}
END_TEST

START_TEST(a_library_that_is_not_there_is_told_with_its_packages)
{
    ck_assert_int_eq(open_one_of((const char *const[]){"libm.so.998", "libm.so.999", NULL}, symbols), LIBRARY_MISSING);
    const char *words[] = {"libmathematics", "libm.so.998", "libm.so.999", "install libm4 (Debian 12) or libm4t64"};
    expect_fault(words, ARRAY_LENGTH(words));
}
END_TEST

START_TEST(a_library_without_a_function_is_told_with_the_function)
{
    const char *const names[] = {"cos", "cosine_of_the_future", "lround"};
    ck_assert_int_eq(open_one_of((const char *const[]){"libm.so.6", NULL}, names), LIBRARY_MISSING);
    const char *words[] = {"libmathematics", "cosine_of_the_future", "install libm4 (Debian 12) or libm4t64"};
    expect_fault(words, ARRAY_LENGTH(words));
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, functions_are_called_through_the_table);
    tcase_add_test(tests, the_first_file_that_opens_is_taken);
    tcase_add_test(tests, a_library_that_is_not_there_is_told_with_its_packages);
    tcase_add_test(tests, a_library_without_a_function_is_told_with_the_function);
}

int main(void)
{
    return unit_run("library", fill);
}
