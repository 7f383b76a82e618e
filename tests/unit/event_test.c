#include "unit.h"

#include "stripe/event.h"
#include "stripe/sample.h"

static int parse(const char *body, struct event *event)
{
    const char *why = NULL;
    int status = event_parse(text_of(body), event, &why);
    ck_assert_int_eq(status != 0, why != NULL);
    return status;
}

START_TEST(an_event_as_stripe_sends_it_is_read)
{
    struct buffer body = unit_data("events/identity.verification_session.verified.json");
    struct event event;
    ck_assert_int_eq(parse(body.data, &event), 0);
    ck_assert_text_eq(event.type, "identity.verification_session.verified");
    ck_assert(text_starts_with(event.id, TEXT("evt_")));
    ck_assert(event_is_session_id(event.session));
    ck_assert_int_eq(event.kind, EVENT_VERIFIED);
    ck_assert_int_gt(event.created, 1700000000);
    ck_assert(!event.livemode);
    ck_assert_uint_eq(event.account.length, 0);
    buffer_free(&body);
}
END_TEST

START_TEST(a_connect_event_names_its_account)
{
    struct buffer body = unit_data("events/identity.verification_session.verified.connect.json");
    struct event event;
    ck_assert_int_eq(parse(body.data, &event), 0);
    ck_assert(text_starts_with(event.account, TEXT("acct_")));
    buffer_free(&body);
}
END_TEST

START_TEST(an_old_sparse_event_is_read)
{
    struct buffer body = unit_data("events/identity.verification_session.verified.sparse_old_version.json");
    struct event event;
    ck_assert_int_eq(parse(body.data, &event), 0);
    buffer_free(&body);
}
END_TEST

#define EVENT(id, type, session)                                                                                       \
    "{\"id\":" id ",\"object\":\"event\",\"type\":" type ",\"data\":{\"object\":{\"id\":" session "}}}"

START_TEST(other_types_are_events_too)
{
    struct event event;
    ck_assert_int_eq(parse(EVENT("\"evt_1\"", "\"charge.succeeded\"", "\"ch_1\""), &event), 0);
    ck_assert_int_eq(event.kind, EVENT_OTHER);
    ck_assert_int_eq(parse(EVENT("\"evt_1\"", "\"verified\"", "\"vs_1\""), &event), 0);
    ck_assert_int_eq(event.kind, EVENT_OTHER); /* the short name is not a type */
}
END_TEST

/* Nothing is asked of an event but what is used: `object` may lack, and ids need not look exactly as Stripe's do. */
START_TEST(an_event_with_no_more_than_its_ids_and_type_is_read)
{
    struct event event;
    ck_assert_int_eq(parse("{\"id\":\"evt_a-1\",\"type\":\"identity.verification_session.verified\","
                           "\"data\":{\"object\":{\"id\":\"vs_test_a-1\"}}}",
                           &event),
                     0);
    ck_assert_int_eq(event.kind, EVENT_VERIFIED);
    ck_assert_text_eq(event.id, "evt_a-1");
    ck_assert_text_eq(event.session, "vs_test_a-1");
}
END_TEST

static const char *const refused[] = {
    "[]",
    "{}",
    "not json",
    "{\"object\":\"v2.core.event\",\"id\":\"evt_1\",\"type\":\"v1.identity.verification_session.verified\"}",
    "{\"id\":\"evt_1\",\"object\":\"charge\",\"type\":\"a\",\"data\":{\"object\":{\"id\":\"x\"}}}",
    EVENT("1", "\"a.b\"", "\"vs_1\""),
    EVENT("\"\"", "\"a.b\"", "\"vs_1\""),
    EVENT("\"evt_1\"", "null", "\"vs_1\""),
    EVENT("\"evt_1\"", "\"a.b\"", "null"),
    EVENT("\"evt 1\"", "\"a.b\"", "\"vs_1\""),
    EVENT("\"evt_\\u0031\"", "\"a.b\"", "\"vs_1\""),
    EVENT("\"evt_{x}\"", "\"a.b\"", "\"vs_1\""),
    EVENT("\"evt_1\"", "\"identity.verification_session.verified\"", "\"vs_../../charges\""),
    EVENT("\"evt_1\"", "\"identity.verification_session.verified\"", "\"pi_1\""),
    EVENT("\"evt_1\"", "\"identity.verification_session.verified\"", "\"vs_\""),
};

START_TEST(what_is_no_event_is_refused)
{
    struct event event;
    ck_assert_msg(parse(refused[_i], &event) == EVENT_INVALID, "%s", refused[_i]);
}
END_TEST

START_TEST(an_id_longer_than_the_limit_is_refused)
{
    struct event event;
    struct buffer body = {0};
    for (size_t length = EVENT_ID_MAXIMUM; length <= EVENT_ID_MAXIMUM + 1; length++) {
        buffer_clear(&body);
        buffer_append_string(&body, "{\"id\":\"");
        for (size_t i = 0; i < length; i++) {
            buffer_append_byte(&body, 'e');
        }
        buffer_append_string(&body, "\",\"object\":\"event\",\"type\":\"a\",\"data\":{\"object\":{\"id\":\"x\"}}}");
        ck_assert_int_eq(parse(body.data, &event) == 0, length == EVENT_ID_MAXIMUM);
    }
    buffer_free(&body);
}
END_TEST

START_TEST(a_sample_of_each_kind_is_an_event_of_that_kind)
{
    struct sample_options options = {.kind = (enum event_kind)_i, .nonce = "0123456789abcdef", .now = 1793268500};
    struct buffer body = {0};
    struct event event;
    char id[64];
    ck_assert_int_eq(sample_event(&options, &body, id), 0);
    ck_assert_int_eq(parse(body.data, &event), 0);
    ck_assert_int_eq(event.kind, _i);
    ck_assert_text_eq(event.id, id);
    ck_assert(text_starts_with(event.session, TEXT("vs_1Sample")));
    ck_assert_int_eq(event.created, 1793268500);
    buffer_free(&body);
}
END_TEST

START_TEST(a_sample_is_about_the_session_that_was_asked_for)
{
    struct sample_options options = {.kind = EVENT_VERIFIED, .nonce = "0123456789abcdef", .session = "vs_1Mine"};
    struct buffer body = {0};
    struct event event;
    char id[64];
    ck_assert_int_eq(sample_event(&options, &body, id), 0);
    ck_assert_int_eq(parse(body.data, &event), 0);
    ck_assert_text_eq(event.session, "vs_1Mine");
    options.session = "vs_1/x";
    ck_assert_int_lt(sample_event(&options, &body, id), 0);
    buffer_free(&body);
}
END_TEST

START_TEST(ids_are_letters_digits_and_a_few_signs)
{
    for (int byte = 0; byte < 256; byte++) {
        char id[2] = {'a', (char)byte};
        bool fits = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                    byte == '_' || byte == '-' || byte == '.';
        ck_assert_msg(event_is_id((struct text){.data = id, .length = 2}) == fits, "byte %d", byte);
    }
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, an_event_as_stripe_sends_it_is_read);
    tcase_add_test(tests, a_connect_event_names_its_account);
    tcase_add_test(tests, an_old_sparse_event_is_read);
    tcase_add_test(tests, other_types_are_events_too);
    tcase_add_test(tests, an_event_with_no_more_than_its_ids_and_type_is_read);
    tcase_add_loop_test(tests, what_is_no_event_is_refused, 0, (int)ARRAY_LENGTH(refused));
    tcase_add_test(tests, ids_are_letters_digits_and_a_few_signs);
    tcase_add_test(tests, an_id_longer_than_the_limit_is_refused);
    tcase_add_loop_test(tests, a_sample_of_each_kind_is_an_event_of_that_kind, 0, EVENT_OTHER);
    tcase_add_test(tests, a_sample_is_about_the_session_that_was_asked_for);
}

int main(void)
{
    return unit_run("event", fill);
}
