#include "unit.h"

#include "core/session_request.h"
#include "stripe/ticket.h"

/* ---- what a client may say */

static int parse(const char *type, const char *body, struct session_request *request)
{
    struct text exact = unit_exact(text_of(body));
    int status = session_request_parse(text_of(type), exact, request);
    free((void *)(uintptr_t)exact.data);
    return status;
}

static const struct {
    const char *type;
    const char *body;
    int fault;
} bodies[] = {
    {"application/json", "{}", 0},
    {"application/json", " {\"integration\":\"native\"}\n", 0},
    {"APPLICATION/JSON;charset=utf-8", "{}", 0},
    {"", "", 0},
    {"text/plain", "", 0},
    {"application/x-www-form-urlencoded", "&&integration=native&", 0},
    {"application/x-www-form-urlencoded", "integration=n%61tive", 0},
    {"", "{}", SESSION_REQUEST_MEDIA},
    {"text/plain", "{}", SESSION_REQUEST_MEDIA},
    {"application/json", "{\"integration\":\"native\",\"integration\":\"native\"}", SESSION_REQUEST_MALFORMED},
    {"application/json", "{\"integration\":\"native\"} x", SESSION_REQUEST_MALFORMED},
    {"application/json", "null", SESSION_REQUEST_MALFORMED},
    {"application/json", "{\"integration\":null}", SESSION_REQUEST_INTEGRATION},
    {"application/json", "{\"integration\":\"native\\u0000\"}", SESSION_REQUEST_MALFORMED},
    {"application/json", "{\"access_token\":\"x\"}", SESSION_REQUEST_FIELD},
    {"application/x-www-form-urlencoded", "integration", SESSION_REQUEST_INTEGRATION},
    {"application/x-www-form-urlencoded", "integration=native%00", SESSION_REQUEST_MALFORMED},
    {"application/x-www-form-urlencoded", "integration=%zz", SESSION_REQUEST_MALFORMED},
    {"application/x-www-form-urlencoded", "access_token=a&access_token=b", SESSION_REQUEST_FIELD},
    {"application/x-www-form-urlencoded", "type=document", SESSION_REQUEST_FIELD},
};

START_TEST(a_body_names_an_integration_and_nothing_else)
{
    struct session_request request;
    ck_assert_int_eq(parse(bodies[_i].type, bodies[_i].body, &request), bodies[_i].fault);
    if (bodies[_i].fault == 0 && strstr(bodies[_i].body, "tive")) {
        ck_assert(request.named);
        ck_assert_int_eq(request.integration, INTEGRATION_NATIVE);
    }
    ck_assert_ptr_null(request.token);
}
END_TEST

START_TEST(a_form_may_carry_the_token)
{
    struct session_request request;
    ck_assert_int_eq(parse("application/x-www-form-urlencoded", "access_token=a.b%2Ec&integration=redirect", &request),
                     0);
    ck_assert(request.is_form);
    ck_assert_str_eq(request.token, "a.b.c");
    ck_assert_int_eq(request.integration, INTEGRATION_REDIRECT);
    session_request_clear(&request);
    session_request_clear(&request);
}
END_TEST

/* ---- what Stripe is asked */

START_TEST(a_session_is_asked_for_as_stripes_libraries_do)
{
    struct session_settings settings = {
        .document_options = 1u << DOCUMENT_LIVE_CAPTURE,
        .document_types = 1u << DOCUMENT_DRIVING_LICENSE | 1u << DOCUMENT_PASSPORT,
        .return_url = (char *)"https://example.com/back?x=1",
    };
    struct ticket_holder holder = {.user = "user 1&2=3", .email = "user+tag@example.com"};
    struct buffer form = {0};
    ticket_form(&settings, &holder, &form);
    ck_assert_str_eq(
        form.data, "type=document&client_reference_id=user%201%262%3D3&metadata[user_id]=user%201%262%3D3&"
                   "metadata[created_by]=identihook&provided_details[email]=user%2Btag%40example.com&"
                   "options[document][allowed_types][0]=driving_license&options[document][allowed_types][1]=passport&"
                   "options[document][require_live_capture]=true&return_url=https%3A%2F%2Fexample.com%2Fback%3Fx%3D1");
    buffer_free(&form);
}
END_TEST

START_TEST(a_flow_takes_the_place_of_the_type)
{
    struct session_settings settings = {.flow = (char *)"vf_123"};
    struct ticket_holder holder = {.user = "u1"};
    struct buffer form = {0};
    ticket_form(&settings, &holder, &form);
    ck_assert_str_eq(form.data, "verification_flow=vf_123&client_reference_id=u1&metadata[user_id]=u1&"
                                "metadata[created_by]=identihook");
    buffer_free(&form);
}
END_TEST

/* ---- what Stripe answers */

START_TEST(an_answer_that_is_no_session_is_not_taken_for_one)
{
    static const char *const answers[] = {
        "",
        "[]",
        "{\"object\":\"list\"}",
        "{\"object\":\"identity.verification_session\",\"id\":\"vs_1/../x\",\"status\":\"requires_input\"}",
        "{\"object\":\"identity.verification_session\",\"id\":\"vs_1\"}",
        "{\"object\":\"identity.verification_session\",\"status\":\"requires_input\"}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        struct ticket ticket;
        char *secret;
        ck_assert_int_eq(ticket_parse(text_of(answers[i]), &ticket), TICKET_NOT_ONE);
        ticket_clear(&ticket);
        ck_assert_int_eq(ticket_parse_key(text_of(answers[i]), &secret), TICKET_NOT_ONE);
        ck_assert_ptr_null(secret);
    }
}
END_TEST

START_TEST(a_session_is_read_as_far_as_it_is_passed_on)
{
    struct ticket ticket;
    ck_assert_int_eq(
        ticket_parse(TEXT("{\"object\":\"identity.verification_session\",\"id\":\"vs_1\",\"status\":\"new_word\","
                          "\"last_error\":{\"code\":null},\"redaction\":null,\"client_secret\":\"s\",\"url\":null}"),
                     &ticket),
        0);
    ck_assert_int_eq(ticket.status, SESSION_UNKNOWN);
    ck_assert_str_eq(ticket.client_secret, "s");
    ck_assert_ptr_null(ticket.url);
    ck_assert(!ticket.redacted);
    ticket_clear(&ticket);
    ticket_clear(&ticket);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, a_body_names_an_integration_and_nothing_else, 0, (int)ARRAY_LENGTH(bodies));
    tcase_add_test(tests, a_form_may_carry_the_token);
    tcase_add_test(tests, a_session_is_asked_for_as_stripes_libraries_do);
    tcase_add_test(tests, a_flow_takes_the_place_of_the_type);
    tcase_add_test(tests, an_answer_that_is_no_session_is_not_taken_for_one);
    tcase_add_test(tests, a_session_is_read_as_far_as_it_is_passed_on);
}

int main(void)
{
    return unit_run("session_request", fill);
}
