#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"

/* Each test is a process of its own: its standard error becomes a pipe, and this is the other end. */
static int reader;

static void capture(enum log_format format, enum log_level least)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    (void)close(ends[1]);
    reader = ends[0];
    (void)signal(SIGPIPE, SIG_IGN);
    log_configure(format, least);
}

/* What was logged so far. */
static const char *logged(void)
{
    static char lines[65536 + 1];
    (void)fcntl(reader, F_SETFL, O_NONBLOCK);
    ssize_t length = read(reader, lines, sizeof(lines) - 1);
    lines[length > 0 ? length : 0] = '\0';
    return lines;
}

static void check_matches(const char *line, const char *pattern)
{
    regex_t expression;
    ck_assert_int_eq(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&expression, line, 0, NULL, 0) == 0, "%s", line);
    regfree(&expression);
}

START_TEST(a_text_line_has_time_level_message_and_fields)
{
    capture(LOG_FORMAT_TEXT, LOG_INFO);
    log_info("event queued", LOG_STRING("event", "evt_1"), LOG_NUMBER("bytes", 971), LOG_NUMBER("age", -3));
    check_matches(logged(), "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z INFO  "
                            "event queued event=evt_1 bytes=971 age=-3\n$");
}
END_TEST

START_TEST(a_json_line_is_one_object)
{
    capture(LOG_FORMAT_JSON, LOG_INFO);
    log_error("it \"failed\"", LOG_STRING("why", "no\nroute"), LOG_NUMBER("code", INT64_MIN));
    const char *line = logged();
    json_t *object = json_loads(line, 0, NULL);
    ck_assert_msg(object != NULL, "%s", line);
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    ck_assert_str_eq(json_string_value(json_object_get(object, "level")), "error");
    ck_assert_str_eq(json_string_value(json_object_get(object, "message")), "it \"failed\"");
    ck_assert_str_eq(json_string_value(json_object_get(object, "why")), "no\nroute");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "code")), INT64_MIN);
    check_matches(json_string_value(json_object_get(object, "time")), "^[-0-9]{10}T[:0-9]{8}\\.[0-9]{3}Z$");
    json_decref(object);
}
END_TEST

static const struct text values[] = {
    {"", 0},     {"a b", 3},     {"a=b", 3},      {"a\"b\\", 4},      {"a\nlevel=error", 13}, {"\x1b[31mred", 8},
    {"\x7f", 1}, {"nul\0in", 6}, {"\xff\xfe", 2}, {"caf\xc3\xa9", 5}, {"\xed\xa0\x80", 3},
};

START_TEST(a_value_cannot_look_like_anything_else)
{
    capture(_i % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, LOG_INFO);
    log_info("value", LOG_TEXT("a", values[_i / 2]), LOG_NUMBER("z", 1));
    const char *line = logged();
    const char *quote = _i % 2 ? strstr(line, "\"a\":\"") : strstr(line, " a=\"");
    ck_assert_msg(quote != NULL, "not quoted: %s", line);
    for (const char *byte = line; byte[1]; byte++) {
        ck_assert_msg((unsigned char)*byte >= ' ' && *byte != 0x7f, "a control character: %s", line);
    }
    /* The quoted value alone is a JSON string in both formats. */
    quote += _i % 2 ? 4 : 3;
    json_t *value = json_loads(quote, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    ck_assert_msg(value != NULL, "%s", line);
    json_decref(value);
}
END_TEST

START_TEST(a_plain_value_stands_without_quotes_in_text)
{
    capture(LOG_FORMAT_TEXT, LOG_INFO);
    log_info("value", LOG_STRING("a", "vs_1/x:y,z-[::1]"));
    ck_assert_ptr_nonnull(strstr(logged(), " a=vs_1/x:y,z-[::1]\n"));
}
END_TEST

START_TEST(lines_below_the_level_are_not_written)
{
    capture(LOG_FORMAT_TEXT, LOG_WARN);
    log_debug("no", LOG_NUMBER("n", 1));
    log_info("no", LOG_NUMBER("n", 2));
    ck_assert_str_eq(logged(), "");
    log_warn("yes", LOG_NUMBER("n", 3));
    log_error("yes", LOG_NUMBER("n", 4));
    const char *lines = logged();
    ck_assert_ptr_nonnull(strstr(lines, "WARN  yes n=3\n"));
    ck_assert_ptr_nonnull(strstr(lines, "ERROR yes n=4\n"));
    ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

static const size_t lengths[] = {3000, 4000, 4096, 5000, 100000};

START_TEST(a_long_value_is_cut_so_that_the_line_stays_whole)
{
    struct buffer value = {0};
    while (value.length < lengths[_i / 2]) {
        buffer_append_string(&value, "\xc3\xa9\n");
    }
    capture(_i % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, LOG_INFO);
    log_info("long", LOG_TEXT("a", buffer_text(&value)), LOG_TEXT("b", buffer_text(&value)), LOG_NUMBER("z", 1));
    const char *line = logged();
    ck_assert_uint_le(strlen(line), PIPE_BUF);
    ck_assert_uint_ge(strlen(line), PIPE_BUF / 4);
    ck_assert_ptr_nonnull(strstr(line, "…\""));
    check_matches(line, _i % 2 ? ",\"z\":1}\n$" : " z=1\n$");
    ck_assert_ptr_null(strstr(line, "\xef\xbf\xbd")); /* cut between characters, not in one */
    ck_assert_uint_eq(log_dropped(), 0);
    buffer_free(&value);
}
END_TEST

START_TEST(a_full_pipe_drops_lines_instead_of_stopping_the_program)
{
    static const char filler[4096];
    capture(LOG_FORMAT_TEXT, LOG_INFO);
    (void)fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    while (write(STDERR_FILENO, filler, sizeof(filler)) > 0) {
    }
    (void)fcntl(STDERR_FILENO, F_SETFL, 0);
    log_info("dropped", LOG_NUMBER("n", 1));
    ck_assert_uint_eq(log_dropped(), 1);
    (void)logged();
    log_info("taken", LOG_NUMBER("n", 2));
    ck_assert_uint_eq(log_dropped(), 1);
    ck_assert_ptr_nonnull(strstr(logged(), "taken n=2\n"));
}
END_TEST

START_TEST(a_reader_that_went_away_costs_lines_only)
{
    capture(LOG_FORMAT_TEXT, LOG_INFO);
    (void)close(reader);
    log_info("dropped", LOG_NUMBER("n", 1));
    (void)close(STDERR_FILENO);
    log_info("dropped", LOG_NUMBER("n", 2));
    ck_assert_uint_eq(log_dropped(), 2);
}
END_TEST

#define ROUNDS 300
#define THREADS 4
#define LINES 40
#define PADDING 3000 /* a page of the pipe per line, of which it has 16 */

static void *log_many(void *context)
{
    char padding[PADDING];
    memset(padding, 'x', sizeof(padding));
    for (int i = 0; i < LINES; i++) {
        log_info("many", LOG_TEXT("padding", ((struct text){padding, sizeof(padding)})), LOG_NUMBER("end", 1));
    }
    return context;
}

static uint64_t count_whole(struct text rest)
{
    uint64_t whole = 0;
    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        ck_assert_msg(line.length == strlen("2026-11-24T10:00:00.123Z INFO  many padding= end=1") + PADDING, "%.*s",
                      TEXT_ARGUMENTS(line));
        whole++;
    }
    return whole;
}

/* Nobody reads during a round, so a write that blocks stays so. What is there is whole, and what is not was counted. */
START_TEST(threads_write_whole_lines_and_none_of_them_blocks)
{
    uint64_t whole = 0;
    capture(LOG_FORMAT_TEXT, LOG_INFO);
    for (size_t round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++) {
            ck_assert_int_eq(pthread_create(&threads[i], NULL, log_many, NULL), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            (void)pthread_join(threads[i], NULL);
        }
        whole += count_whole(text_of(logged()));
    }
    ck_assert_uint_ge(whole, ROUNDS);
    ck_assert_uint_gt(log_dropped(), 0);
    ck_assert_uint_eq(whole + log_dropped(), ROUNDS * THREADS * LINES);
}
END_TEST

START_TEST(a_repeating_message_passes_once_an_interval_and_counts_the_others)
{
    struct log_limit limit = {0};
    uint64_t suppressed = 7;
    ck_assert(log_limit_pass(&limit, 60000, &suppressed));
    ck_assert_uint_eq(suppressed, 0);
    ck_assert(!log_limit_pass(&limit, 60000, &suppressed));
    ck_assert(!log_limit_pass(&limit, 60000, &suppressed));
    limit.next_ms = 0; /* the interval is over */
    ck_assert(log_limit_pass(&limit, 60000, &suppressed));
    ck_assert_uint_eq(suppressed, 2);
    limit.next_ms = 0;
    ck_assert(log_limit_pass(&limit, 60000, &suppressed));
    ck_assert_uint_eq(suppressed, 0);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_text_line_has_time_level_message_and_fields);
    tcase_add_test(tests, a_json_line_is_one_object);
    tcase_add_loop_test(tests, a_value_cannot_look_like_anything_else, 0, 2 * (int)ARRAY_LENGTH(values));
    tcase_add_test(tests, a_plain_value_stands_without_quotes_in_text);
    tcase_add_test(tests, lines_below_the_level_are_not_written);
    tcase_add_loop_test(tests, a_long_value_is_cut_so_that_the_line_stays_whole, 0, 2 * (int)ARRAY_LENGTH(lengths));
    tcase_add_test(tests, a_full_pipe_drops_lines_instead_of_stopping_the_program);
    tcase_add_test(tests, a_reader_that_went_away_costs_lines_only);
    tcase_add_test(tests, threads_write_whole_lines_and_none_of_them_blocks);
    tcase_add_test(tests, a_repeating_message_passes_once_an_interval_and_counts_the_others);
}

int main(void)
{
    return unit_run("log", fill);
}
