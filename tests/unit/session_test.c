#include "unit.h"

#include "stripe/session.h"

static struct session *parse(const char *json, unsigned outputs)
{
    struct session *session;
    ck_assert_int_eq(session_parse(text_of(json), outputs, &session), 0);
    return session;
}

#define SESSION(members)                                                                                               \
    "{\"object\":\"identity.verification_session\",\"id\":\"vs_1\",\"status\":\"verified\"" members "}"

START_TEST(a_verified_session_as_stripe_returns_it_is_read)
{
    struct buffer file = unit_data("composed-verification_session.verified.expanded-sensitive.json");
    struct session *session = parse(file.data, 1u << OUTPUT_FIRST_NAME | 1u << OUTPUT_DOB);
    ck_assert_int_eq(session->status, SESSION_VERIFIED);
    ck_assert_str_eq(session->user, "signup-0f3c9a");
    ck_assert(!session->has_error);
    ck_assert(!session->redacted);
    ck_assert_str_eq(json_string_value(json_object_get(session->outputs, "first_name")), "Jenny");
    ck_assert(json_is_object(json_object_get(session->outputs, "dob")));
    ck_assert_uint_eq(json_object_size(session->outputs), 2); /* nothing that was not chosen */
    session_free(session);
    buffer_free(&file);
}
END_TEST

START_TEST(a_redacted_session_is_known_as_such)
{
    struct buffer file = unit_data("composed-verification_session.redacted.expanded.json");
    struct session *session = parse(file.data, 0);
    ck_assert(session->redacted);
    session_free(session);
    buffer_free(&file);
}
END_TEST

START_TEST(a_session_whose_redaction_is_under_way_is_what_its_status_says)
{
    struct session *session = parse(SESSION(",\"redaction\":{\"status\":\"processing\"}"), 0);
    ck_assert(!session->redacted);
    session_free(session);
    session = parse(SESSION(",\"redaction\":{\"status\":\"redacted\"}"), 0);
    ck_assert(session->redacted);
    session_free(session);
}
END_TEST

START_TEST(the_user_is_the_reference_or_else_the_metadata)
{
    struct session *session = parse(SESSION(",\"client_reference_id\":\"ref\",\"metadata\":{\"user_id\":\"meta\"}"), 0);
    ck_assert_str_eq(session->user, "ref");
    session_free(session);
    session = parse(SESSION(",\"client_reference_id\":null,\"metadata\":{\"user_id\":\"meta\"}"), 0);
    ck_assert_str_eq(session->user, "meta");
    session_free(session);
    session = parse(SESSION(""), 0);
    ck_assert_ptr_null(session->user);
    session_free(session);
}
END_TEST

START_TEST(the_address_is_the_provided_one_or_else_the_verified_one)
{
    struct session *session =
        parse(SESSION(",\"provided_details\":{\"email\":\"a@x\"},\"verified_outputs\":{\"email\":\"b@x\"}"), 0);
    ck_assert_str_eq(session->email, "a@x");
    session_free(session);
    session = parse(SESSION(",\"provided_details\":{\"email\":null},\"verified_outputs\":{\"email\":\"b@x\"}"), 0);
    ck_assert_str_eq(session->email, "b@x");
    ck_assert_ptr_null(session->outputs);
    session_free(session);
}
END_TEST

static const struct {
    const char *members;
    bool from_link;
    const char *email;
} origins[] = {
    {",\"type\":\"verification_flow\",\"metadata\":{}", true, "own@x"},
    {",\"type\":\"verification_flow\"", true, "own@x"},
    {",\"verification_flow\":\"vf_1\",\"metadata\":null", true, "own@x"},
    {",\"type\":\"verification_flow\",\"metadata\":{\"user_id\":\"u\"}", false, "given@x"},
    {",\"type\":\"document\",\"verification_flow\":null,\"metadata\":{}", false, "given@x"},
};

START_TEST(what_a_link_has_named_is_not_trusted_and_what_was_verified_comes_first)
{
    char json[512];
    (void)snprintf(json, sizeof(json),
                   "{\"object\":\"identity.verification_session\",\"id\":\"vs_1\",\"status\":\"verified\","
                   "\"client_reference_id\":\"r\",\"provided_details\":{\"email\":\"given@x\"},"
                   "\"verified_outputs\":{\"email\":\"own@x\"}%s}",
                   origins[_i].members);
    struct session *session = parse(json, 0);
    ck_assert_msg(session->from_link == origins[_i].from_link, "%s", json);
    ck_assert(session_user_is_trusted(session) == !origins[_i].from_link);
    ck_assert_str_eq(session->email, origins[_i].email);
    session_free(session);
}
END_TEST

START_TEST(an_error_without_a_code_is_an_error)
{
    struct session *session = parse(SESSION(",\"last_error\":{\"code\":null,\"reason\":null}"), 0);
    ck_assert(session->has_error);
    ck_assert_ptr_null(session->error_code);
    session_free(session);
}
END_TEST

START_TEST(an_unknown_status_is_kept_as_a_word)
{
    struct session *session =
        parse("{\"object\":\"identity.verification_session\",\"id\":\"vs_1\",\"status\":\"pending_review\"}", 0);
    ck_assert_int_eq(session->status, SESSION_UNKNOWN);
    ck_assert_str_eq(session->status_text, "pending_review");
    session_free(session);
}
END_TEST

static const char *const refused[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"object\":\"event\",\"id\":\"vs_1\",\"status\":\"verified\"}",
                                      "{\"object\":\"identity.verification_session\",\"status\":\"verified\"}",
                                      "{\"object\":\"identity.verification_session\",\"id\":\"vs_1\"}",
                                      "<html>"};

START_TEST(what_is_no_session_is_refused)
{
    struct session *session;
    ck_assert_int_eq(session_parse(text_of(refused[_i]), 0, &session), SESSION_NOT_ONE);
    ck_assert_ptr_null(session);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_verified_session_as_stripe_returns_it_is_read);
    tcase_add_test(tests, a_redacted_session_is_known_as_such);
    tcase_add_test(tests, a_session_whose_redaction_is_under_way_is_what_its_status_says);
    tcase_add_test(tests, the_user_is_the_reference_or_else_the_metadata);
    tcase_add_test(tests, the_address_is_the_provided_one_or_else_the_verified_one);
    tcase_add_loop_test(tests, what_a_link_has_named_is_not_trusted_and_what_was_verified_comes_first, 0,
                        (int)ARRAY_LENGTH(origins));
    tcase_add_test(tests, an_error_without_a_code_is_an_error);
    tcase_add_test(tests, an_unknown_status_is_kept_as_a_word);
    tcase_add_loop_test(tests, what_is_no_session_is_refused, 0, (int)ARRAY_LENGTH(refused));
}

int main(void)
{
    return unit_run("session", fill);
}
