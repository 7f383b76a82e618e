#include "unit.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "stripe/signature.h"
#include "stripe/signature_help.h"

#define NOW 1793268500
#define SECRET "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"

static struct signature_keys *keys_of(const char *secret)
{
    struct text text = text_of(secret);
    struct signature_keys *keys;
    ck_assert_int_eq(signature_keys_create(&text, 1, &keys), 0);
    return keys;
}

static enum signature_verdict verify(struct signature_keys *keys, const char *header, const char *body, int64_t now)
{
    struct signature_result result;
    return signature_verify(keys, text_of(header), text_of(body), now, 300, &result);
}

static char *signed_header(struct signature_keys *keys, const char *body, int64_t time)
{
    struct buffer header = {0};
    signature_sign(keys, 0, time, text_of(body), &header);
    return header.data;
}

/* ---- every recorded case, decided by Stripe's own libraries */

static struct text decode_base64(const char *text)
{
    size_t length = strlen(text);
    unsigned char *bytes = malloc(length + 1);
    int decoded = length ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length) : 0;
    size_t padding = length ? (size_t)(text[length - 1] == '=') + (size_t)(text[length - 2] == '=') : 0;
    struct text exact = unit_exact((struct text){.data = (char *)bytes, .length = (size_t)decoded - padding});
    free(bytes);
    return exact;
}

static struct text json_text(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return (struct text){.data = json_string_value(value), .length = json_string_length(value)};
}

static void check_case(json_t *line)
{
    struct text secret = json_text(line, "secret");
    struct text payload = decode_base64(json_string_value(json_object_get(line, "payload")));
    struct signature_keys *keys;
    struct signature_result result;
    ck_assert_int_eq(signature_keys_create(&secret, 1, &keys), 0);
    enum signature_verdict verdict =
        signature_verify(keys, json_text(line, "header"), payload, json_integer_value(json_object_get(line, "now")),
                         json_integer_value(json_object_get(line, "tolerance")), &result);
    bool accept = json_is_true(json_object_get(line, "accept"));
    ck_assert_msg((verdict == SIGNATURE_VALID) == accept, "%s: expected to be %s, but the verdict is %d",
                  json_string_value(json_object_get(line, "name")), accept ? "accepted" : "refused", (int)verdict);
    signature_keys_free(keys);
    free((char *)(uintptr_t)payload.data);
}

START_TEST(all_recorded_cases_agree)
{
    struct buffer file = unit_data("signature-cases.jsonl");
    struct text rest = buffer_text(&file);
    size_t count = 0;
    while (rest.data) {
        struct text text = text_cut(&rest, '\n');
        if (text.length == 0) {
            continue;
        }
        json_t *line = json_loadb(text.data, text.length, JSON_ALLOW_NUL, NULL);
        ck_assert_ptr_nonnull(line);
        check_case(line);
        json_decref(line);
        count++;
    }
    ck_assert_uint_ge(count, 150);
    buffer_free(&file);
}
END_TEST

/* ---- the rule, one by one */

START_TEST(what_is_signed_verifies)
{
    struct signature_keys *keys = keys_of(SECRET);
    char *header = signed_header(keys, "{}", NOW);
    ck_assert_int_eq(verify(keys, header, "{}", NOW), SIGNATURE_VALID);
    ck_assert_int_eq(verify(keys, header, "{ }", NOW), SIGNATURE_MISMATCH);
    free(header);
    signature_keys_free(keys);
}
END_TEST

START_TEST(a_time_beyond_the_tolerance_is_stale_on_both_sides)
{
    struct signature_keys *keys = keys_of(SECRET);
    char *header = signed_header(keys, "{}", NOW);
    ck_assert_int_eq(verify(keys, header, "{}", NOW + 300), SIGNATURE_VALID);
    ck_assert_int_eq(verify(keys, header, "{}", NOW + 301), SIGNATURE_STALE);
    ck_assert_int_eq(verify(keys, header, "{}", NOW - 300), SIGNATURE_VALID);
    ck_assert_int_eq(verify(keys, header, "{}", NOW - 301), SIGNATURE_STALE);
    free(header);
    signature_keys_free(keys);
}
END_TEST

START_TEST(a_wrong_signature_is_a_mismatch_even_when_it_is_stale)
{
    struct signature_keys *keys = keys_of(SECRET);
    char *header = signed_header(keys, "{}", NOW);
    ck_assert_int_eq(verify(keys, header, "[]", NOW + 9999), SIGNATURE_MISMATCH);
    free(header);
    signature_keys_free(keys);
}
END_TEST

START_TEST(each_configured_secret_is_good)
{
    struct text secrets[] = {TEXT("whsec_old"), TEXT("whsec_new")};
    struct signature_keys *both;
    ck_assert_int_eq(signature_keys_create(secrets, 2, &both), 0);
    for (size_t i = 0; i < 2; i++) {
        struct buffer header = {0};
        struct signature_result result;
        signature_sign(both, i, NOW, TEXT("{}"), &header);
        ck_assert_int_eq(signature_verify(both, buffer_text(&header), TEXT("{}"), NOW, 300, &result), SIGNATURE_VALID);
        ck_assert_uint_eq(result.key, i);
        buffer_free(&header);
    }
    signature_keys_free(both);
}
END_TEST

START_TEST(an_empty_secret_is_refused)
{
    struct text secrets[] = {TEXT("whsec_good"), {.data = "", .length = 0}};
    struct signature_keys *keys;
    ck_assert_int_lt(signature_keys_create(secrets, 2, &keys), 0);
}
END_TEST

static const struct {
    const char *header;
    enum signature_verdict verdict;
} malformed[] = {
    {NULL, SIGNATURE_MISSING},
    {"", SIGNATURE_MISSING},
    {"t=1793268500", SIGNATURE_MALFORMED},
    {"t=1793268500,v1=", SIGNATURE_MALFORMED},
    {"t=1793268500,v0=00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE_MALFORMED},
    {"v1=00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE_MALFORMED},
    {"t=+1,v1=00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE_MALFORMED},
    {"t=1,t=1,v1=00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE_MALFORMED},
    {"t=99999999999999999999,v1=00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE_MALFORMED},
    {"t=1793268500,v1=00000000000000000000000000000000000000000000000000000000000000FF", SIGNATURE_MALFORMED},
    {"t=1793268500,v1=00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE_MISMATCH},
};

START_TEST(a_header_that_is_not_one_is_told_from_a_wrong_signature)
{
    struct signature_keys *keys = keys_of(SECRET);
    ck_assert_msg(verify(keys, malformed[_i].header, "{}", NOW) == malformed[_i].verdict, "%s",
                  malformed[_i].header ? malformed[_i].header : "(none)");
    signature_keys_free(keys);
}
END_TEST

START_TEST(more_candidates_than_the_limit_are_refused)
{
    struct signature_keys *keys = keys_of(SECRET);
    struct buffer header = {0};
    signature_sign(keys, 0, NOW, TEXT("{}"), &header);
    for (int i = 1; i < SIGNATURE_CANDIDATES_MAXIMUM; i++) {
        buffer_append_format(&header, ",v1=%064d", i);
    }
    ck_assert_int_eq(verify(keys, header.data, "{}", NOW), SIGNATURE_VALID);
    buffer_append_format(&header, ",v1=%064d", 0);
    ck_assert_int_eq(verify(keys, header.data, "{}", NOW), SIGNATURE_MALFORMED);
    buffer_free(&header);
    signature_keys_free(keys);
}
END_TEST

START_TEST(no_byte_beyond_the_header_is_read)
{
    struct signature_keys *keys = keys_of(SECRET);
    char *header = signed_header(keys, "{}", NOW);
    for (size_t length = 0; length <= strlen(header); length++) {
        struct text exact = unit_exact((struct text){.data = header, .length = length});
        struct signature_result result;
        enum signature_verdict verdict = signature_verify(keys, exact, TEXT("{}"), NOW, 300, &result);
        ck_assert_int_eq(verdict == SIGNATURE_VALID, length == strlen(header));
        free((char *)(uintptr_t)exact.data);
    }
    free(header);
    signature_keys_free(keys);
}
END_TEST

/* ---- help */

static enum signature_cause cause_of(const char *header, const char *body, int64_t now)
{
    struct signature_keys *keys = keys_of(SECRET);
    struct signature_result result;
    struct signature_help help;
    (void)signature_verify(keys, text_of(header), text_of(body), now, 300, &result);
    signature_explain(keys, text_of(header), text_of(body), &result, 300, &help);
    ck_assert_ptr_null(strstr(help.message, SECRET));
    ck_assert_uint_gt(strlen(help.message), 10);
    signature_keys_free(keys);
    return help.cause;
}

START_TEST(help_names_the_cause)
{
    struct signature_keys *keys = keys_of(SECRET);
    struct signature_keys *other = keys_of("whsec_another_endpoint");
    const char *body = "{\n  \"id\": \"evt_1\"\n}\n";
    char *header = signed_header(keys, body, NOW);
    char *foreign = signed_header(other, body, NOW);
    ck_assert_int_eq(cause_of(header, body, NOW), SIGNATURE_CAUSE_NONE);
    ck_assert_int_eq(cause_of(NULL, body, NOW), SIGNATURE_CAUSE_HEADER_MISSING);
    ck_assert_int_eq(cause_of("nonsense", body, NOW), SIGNATURE_CAUSE_HEADER_MALFORMED);
    ck_assert_int_eq(cause_of(header, body, NOW + 900), SIGNATURE_CAUSE_CLOCK_AHEAD);
    ck_assert_int_eq(cause_of(header, body, NOW - 900), SIGNATURE_CAUSE_CLOCK_BEHIND);
    ck_assert_int_eq(cause_of(foreign, body, NOW), SIGNATURE_CAUSE_SECRET);
    ck_assert_int_eq(cause_of(header, "{\n  \"id\": \"evt_1\"\n}", NOW), SIGNATURE_CAUSE_BODY_ALTERED);
    ck_assert_int_eq(cause_of(header, "{\n  \"id\": \"evt_1\"\n}\n\n", NOW), SIGNATURE_CAUSE_BODY_ALTERED);
    ck_assert_int_eq(cause_of(header, "{\r\n  \"id\": \"evt_1\"\r\n}\r\n", NOW), SIGNATURE_CAUSE_BODY_ALTERED);
    ck_assert_int_eq(cause_of(header, "{\"id\":\"evt_1\"}", NOW), SIGNATURE_CAUSE_BODY_ALTERED);
    ck_assert_int_eq(cause_of(header, "", NOW), SIGNATURE_CAUSE_BODY_ALTERED);
    free(header);
    free(foreign);
    signature_keys_free(keys);
    signature_keys_free(other);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, all_recorded_cases_agree);
    tcase_add_test(tests, what_is_signed_verifies);
    tcase_add_test(tests, a_time_beyond_the_tolerance_is_stale_on_both_sides);
    tcase_add_test(tests, a_wrong_signature_is_a_mismatch_even_when_it_is_stale);
    tcase_add_test(tests, each_configured_secret_is_good);
    tcase_add_test(tests, an_empty_secret_is_refused);
    tcase_add_loop_test(tests, a_header_that_is_not_one_is_told_from_a_wrong_signature, 0,
                        (int)ARRAY_LENGTH(malformed));
    tcase_add_test(tests, more_candidates_than_the_limit_are_refused);
    tcase_add_test(tests, no_byte_beyond_the_header_is_read);
    tcase_add_test(tests, help_names_the_cause);
}

int main(void)
{
    return unit_run("signature", fill);
}
