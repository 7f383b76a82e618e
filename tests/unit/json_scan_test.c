#include "unit.h"

#include <jansson.h>

#include "stripe/json_scan.h"

static const struct json_path paths[] = {
    {{{"id", 2}}, 1},
    {{{"data", 4}, {"object", 6}, {"id", 2}}, 3},
    {{{"livemode", 8}}, 1},
    {{{"created", 7}}, 1},
};
enum { ID, INNER, LIVEMODE, CREATED };

static int scan(struct text json, struct json_value values[4])
{
    return json_scan(json, paths, 4, values);
}

static bool is_valid(const char *json)
{
    struct json_value values[4];
    struct text exact = unit_exact(text_of(json));
    bool valid = scan(exact, values) == 0;
    free((char *)(uintptr_t)exact.data);
    return valid;
}

START_TEST(wanted_members_are_found_wherever_they_stand)
{
    struct json_value values[4];
    ck_assert_int_eq(
        scan(TEXT(" {\"x\":{\"id\":\"no\"},\"data\":{\"id\":1,\"object\":{\"a\":[{\"id\":2}],\"id\":\"in\"}},"
                  "\"livemode\":true,\"created\":-1.5e3,\"id\":\"out\"} \n"),
             values),
        0);
    ck_assert_text_eq(values[ID].text, "out");
    ck_assert_text_eq(values[INNER].text, "in");
    ck_assert_int_eq(values[LIVEMODE].kind, SCANNED_TRUE);
    ck_assert_text_eq(values[CREATED].text, "-1.5e3");
}
END_TEST

START_TEST(of_members_with_one_name_the_last_counts)
{
    struct json_value values[4];
    ck_assert_int_eq(scan(TEXT("{\"id\":\"a\",\"id\":\"b\",\"data\":{\"object\":{\"id\":\"x\"}},\"data\":{}}"), values),
                     0);
    ck_assert_text_eq(values[ID].text, "b");
    ck_assert_int_eq(values[INNER].kind, SCANNED_ABSENT);
}
END_TEST

static const char *const valid[] = {
    "{}",
    "[]",
    "null",
    "0",
    "-0",
    "1e9",
    "1E+9",
    "0.5e-3",
    "\"\"",
    "\"\\u00e9\\n\\/\"",
    "\"\\ud83d\\ude00\"",
    "\"\xc3\xa9\"",
    "\"\xf0\x9f\x98\x80\"",
    "[1,[2,{\"a\":[]}],\"x\"]",
    " \t\r\n{ } ",
    "\"\x7f\"",
    "{\"a\":1,\"a\":2}",
};
static const char *const invalid[] = {
    "",
    " ",
    "{",
    "}",
    "[1,]",
    "{\"a\":1,}",
    "{\"a\"}",
    "{a:1}",
    "{'a':1}",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "+1",
    "0x1",
    "nul",
    "True",
    "\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\n\"",
    "\"\t\"",
    "\"\xff\"",
    "\"\xc0\xaf\"",
    "\"\xe0\x80\xaf\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xc3\"",
    "{}x",
    "{} {}",
    "[1 2]",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "\xef\xbb\xbf{}",
    "NaN",
    "Infinity",
    "[1,,2]",
    "//\n{}",
    "\v{}",
    "1 2",
};

START_TEST(valid_json_is_valid)
{
    ck_assert_msg(is_valid(valid[_i]), "%s", valid[_i]);
}
END_TEST

START_TEST(anything_else_is_not)
{
    ck_assert_msg(!is_valid(invalid[_i]), "%s", invalid[_i]);
}
END_TEST

START_TEST(depth_has_a_limit)
{
    char json[2 * (JSON_SCAN_DEPTH + 2) + 1] = "";
    for (int depth = JSON_SCAN_DEPTH; depth <= JSON_SCAN_DEPTH + 2; depth++) {
        memset(json, '[', (size_t)depth);
        memset(json + depth, ']', (size_t)depth);
        json[2 * depth] = '\0';
        ck_assert_int_eq(is_valid(json), depth <= JSON_SCAN_DEPTH + 1);
    }
}
END_TEST

/* ---- the same verdict as a strict library, on a document with every byte changed, taken out and doubled */

enum opinion { OPINION_VALID, OPINION_INVALID, OPINION_NONE };

/* The library has none about a document with a number too large for a machine's number, which is valid JSON. */
static enum opinion library_opinion(struct text json)
{
    json_error_t error;
    json_t *value = json_loadb(json.data, json.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    json_decref(value);
    if (value) {
        return OPINION_VALID;
    }
    return json_error_code(&error) == json_error_numeric_overflow ? OPINION_NONE : OPINION_INVALID;
}

static void compare(struct text json, size_t at)
{
    struct json_value values[4];
    struct text exact = unit_exact(json);
    enum opinion ours = scan(exact, values) == 0 ? OPINION_VALID : OPINION_INVALID;
    enum opinion theirs = library_opinion(exact);
    ck_assert_msg(theirs == OPINION_NONE || ours == theirs, "at byte %zu: we say %s", at,
                  ours == OPINION_VALID ? "valid" : "invalid");
    free((char *)(uintptr_t)exact.data);
}

START_TEST(mutations_are_judged_as_a_strict_library_judges_them)
{
    static const char replacements[] = "\"\\{}[]:,0-9.eEtfn \n\x01\x80\xc3\xed\xff/u";
    struct buffer file = unit_data("events/identity.verification_session.verified.unicode.json");
    for (size_t at = 0; at < file.length; at++) {
        char original = file.data[at];
        for (size_t i = 0; i < sizeof(replacements) - 1; i++) {
            file.data[at] = replacements[i];
            compare(buffer_text(&file), at);
        }
        file.data[at] = original;
        compare((struct text){.data = file.data, .length = at}, at);
        compare((struct text){.data = file.data + at, .length = file.length - at}, at);
    }
    buffer_free(&file);
}
END_TEST

/* Strings are searched in blocks of 64 bytes: `before` and `length` move both ends of one over several. */
START_TEST(a_string_ends_where_it_ends_wherever_it_stands)
{
    struct json_value values[4];
    struct buffer json = {0};
    size_t before = (size_t)_i;
    for (size_t length = 0; length < 140; length++) {
        buffer_clear(&json);
        buffer_append_format(&json, "%*s{\"id\":\"%.*s\",\"created\":7}", (int)before, "", (int)length,
                             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
                             "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
        struct text exact = unit_exact(buffer_text(&json));
        ck_assert_int_eq(scan(exact, values), 0);
        ck_assert_uint_eq(values[ID].text.length, length);
        ck_assert_text_eq(values[CREATED].text, "7");
        free((char *)(uintptr_t)exact.data);
        for (size_t i = 0; i < length; i += length / 5 + 1) {
            char *byte = json.data + before + 7 + i;
            char original = *byte;
            *byte = '\x1f';
            ck_assert_int_eq(scan(buffer_text(&json), values), JSON_SCAN_INVALID);
            *byte = original;
        }
    }
    buffer_free(&json);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, wanted_members_are_found_wherever_they_stand);
    tcase_add_test(tests, of_members_with_one_name_the_last_counts);
    tcase_add_loop_test(tests, valid_json_is_valid, 0, (int)ARRAY_LENGTH(valid));
    tcase_add_loop_test(tests, anything_else_is_not, 0, (int)ARRAY_LENGTH(invalid));
    tcase_add_test(tests, depth_has_a_limit);
    tcase_add_loop_test(tests, a_string_ends_where_it_ends_wherever_it_stands, 0, 66);
    tcase_add_test(tests, mutations_are_judged_as_a_strict_library_judges_them);
}

int main(void)
{
    return unit_run("json_scan", fill);
}
