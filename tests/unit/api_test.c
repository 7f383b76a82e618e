#include "unit.h"

#include "stripe/api.h"
#include "stripe/error_code.h"
#include "stripe/event.h"
#include "stripe/session.h"

static struct api_verdict judge(int status, const char *should_retry)
{
    struct api_reply reply = {.status = status, .should_retry = text_of(should_retry)};
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    return verdict;
}

static const struct {
    int status;
    const char *should_retry;
    enum api_outcome outcome;
    const char *reason;
} rules[] = {
    {200, NULL, API_OK, ""},
    {0, NULL, API_TRANSIENT, "stripe_unreachable"},
    {400, NULL, API_PERMANENT, "stripe_refused"},
    {401, NULL, API_PERMANENT, "stripe_key_rejected"},
    {403, NULL, API_PERMANENT, "stripe_key_lacks_permission"},
    {404, NULL, API_PERMANENT, "session_not_found"},
    {408, NULL, API_TRANSIENT, "stripe_busy"},
    {409, NULL, API_TRANSIENT, "stripe_busy"},
    {429, NULL, API_TRANSIENT, "stripe_rate_limited"},
    {500, NULL, API_TRANSIENT, "stripe_unavailable"},
    {503, NULL, API_TRANSIENT, "stripe_unavailable"},
    {302, NULL, API_PERMANENT, "stripe_refused"},
    {400, "true", API_TRANSIENT, "stripe_refused"},
    {500, "false", API_PERMANENT, "stripe_unavailable"},
    {429, "false", API_TRANSIENT, "stripe_rate_limited"},
};

START_TEST(answers_are_judged_by_stripes_rules)
{
    struct api_verdict verdict = judge(rules[_i].status, rules[_i].should_retry);
    ck_assert_msg(verdict.outcome == rules[_i].outcome, "status %d", rules[_i].status);
    ck_assert_str_eq(verdict.reason, rules[_i].reason);
}
END_TEST

START_TEST(a_timeout_is_told_from_a_refused_connection)
{
    struct api_reply reply = {.timed_out = true};
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    ck_assert_str_eq(verdict.reason, "stripe_timeout");
}
END_TEST

START_TEST(retry_after_is_honoured_in_seconds_only)
{
    ck_assert_uint_eq(api_retry_after_ms(TEXT("3")), 3000);
    ck_assert_uint_eq(api_retry_after_ms(TEXT(" 3 ")), 3000);
    ck_assert_uint_eq(api_retry_after_ms(TEXT("999999999")), 86400000);
    ck_assert_uint_eq(api_retry_after_ms(TEXT("-1")), 0);
    ck_assert_uint_eq(api_retry_after_ms(TEXT("Wed, 21 Oct 2026 07:28:00 GMT")), 0);
    ck_assert_uint_eq(api_retry_after_ms((struct text){0}), 0);
    struct api_reply reply = {.status = 429, .retry_after = TEXT("7")};
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    ck_assert_uint_eq(verdict.retry_after_ms, 7000);
}
END_TEST

START_TEST(the_error_names_code_and_request_but_never_the_message)
{
    struct api_reply reply = {
        .status = 404,
        .request_id = TEXT("req_Abc123"),
        .body = TEXT("{\"error\":{\"code\":\"resource_missing\",\"message\":\"No such thing: jenny@example.com\"}}"),
    };
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    ck_assert_ptr_nonnull(strstr(verdict.error, "resource_missing"));
    ck_assert_ptr_nonnull(strstr(verdict.error, "req_Abc123"));
    ck_assert_ptr_null(strstr(verdict.error, "jenny"));
    reply.body = TEXT("{\"error\":{\"code\":\"jenny@example.com\"}}");
    reply.request_id = TEXT("jenny@example.com");
    api_judge(&reply, &verdict);
    ck_assert_ptr_null(strstr(verdict.error, "jenny"));
}
END_TEST

static void check_url(const char *base, unsigned outputs, const char *expected)
{
    struct buffer url = {0};
    ck_assert_int_eq(api_session_url(text_of(base), TEXT("vs_1Ab"), outputs, &url), 0);
    ck_assert_str_eq(url.data, expected);
    buffer_free(&url);
}

START_TEST(the_url_expands_what_was_chosen)
{
    check_url("https://api.stripe.com", 0,
              "https://api.stripe.com/v1/identity/verification_sessions/vs_1Ab?expand[]=provided_details");
    check_url(
        "http://h:1/", 1u << OUTPUT_FIRST_NAME,
        "http://h:1/v1/identity/verification_sessions/vs_1Ab?expand[]=provided_details&expand[]=verified_outputs");
    check_url("http://h", 1u << OUTPUT_DOB | 1u << OUTPUT_ADDRESS,
              "http://h/v1/identity/verification_sessions/vs_1Ab?expand[]=provided_details&expand[]=verified_outputs"
              "&expand[]=verified_outputs.dob");
}
END_TEST

static const char *const bad_ids[] = {"", "vs_", "vs_1/../x", "vs_1?x", "vs_1%2f", "pi_1", "VS_1", "vs_1\n", "vs_1 "};

START_TEST(an_id_that_is_none_never_gets_into_a_url)
{
    struct buffer url = {0};
    ck_assert_int_lt(api_session_url(TEXT("https://x"), text_of(bad_ids[_i]), 0, &url), 0);
    ck_assert_uint_eq(url.length, 0);
}
END_TEST

static struct api_verdict judge_limit(const char *reason, const char *body)
{
    struct api_reply reply = {.status = 429, .rate_limit_reason = text_of(reason), .body = text_of(body)};
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    ck_assert_int_eq(verdict.outcome, API_TRANSIENT);
    return verdict;
}

START_TEST(a_limit_of_the_rate_is_told_from_a_lock)
{
    static const char *const reasons[] = {"global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency"};
    static const char lock[] = "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"lock_timeout\"}}";
    for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++) {
        ck_assert_int_eq(judge_limit(reasons[i], "").scope, API_SCOPE_RATE);
    }
    ck_assert_int_eq(judge_limit(NULL, "<html>").scope, API_SCOPE_RATE); /* a proxy's own limit */
    ck_assert_int_eq(judge_limit(NULL, lock).scope, API_SCOPE_REQUEST);
    ck_assert_int_eq(judge_limit("resource-specific", "").scope, API_SCOPE_REQUEST);
    ck_assert_str_eq(judge_limit(NULL, lock).reason, "stripe_busy");
    ck_assert_ptr_nonnull(strstr(judge_limit("endpoint-concurrency", "").error, "IDENTIHOOK_CONCURRENCY"));
}
END_TEST

START_TEST(what_concerns_all_is_told_from_what_concerns_one)
{
    ck_assert_int_eq(judge(0, NULL).scope, API_SCOPE_SERVICE);
    ck_assert_int_eq(judge(503, NULL).scope, API_SCOPE_SERVICE);
    ck_assert_int_eq(judge(401, NULL).scope, API_SCOPE_KEY);
    ck_assert_int_eq(judge(403, NULL).scope, API_SCOPE_KEY);
    ck_assert_int_eq(judge(400, NULL).scope, API_SCOPE_KEY);
    ck_assert_int_eq(judge(404, NULL).scope, API_SCOPE_REQUEST);
    ck_assert_int_eq(judge(409, NULL).scope, API_SCOPE_REQUEST);
}
END_TEST

static const struct {
    struct api_reply reply;
    const char *reason;
    const char *advice;
} refusals[] = {
    {{.status = 404, .event_is_live = true}, "session_not_found", "IDENTIHOOK_LIVEMODE=test"},
    {{.status = 404, .key_is_live = true}, "session_not_found", "IDENTIHOOK_LIVEMODE=live"},
    {{.status = 404, .of_account = true}, "session_not_found", "still connected"},
    {{.status = 404}, "session_not_found", "same account or sandbox"},
    {{.status = 403, .of_account = true}, "stripe_key_lacks_permission", "connected accounts"},
    {{.status = 403, .is_late = true}, "sensitive_results_expired", "48 hours"},
};

START_TEST(a_refusal_of_one_session_says_what_is_wrong_with_it)
{
    struct api_verdict verdict;
    api_judge(&refusals[_i].reply, &verdict);
    ck_assert_int_eq(verdict.outcome, API_PERMANENT);
    ck_assert_int_eq(verdict.scope, API_SCOPE_REQUEST);
    ck_assert_str_eq(verdict.reason, refusals[_i].reason);
    ck_assert_msg(strstr(verdict.error, refusals[_i].advice) != NULL, "%s", verdict.error);
    ck_assert_msg(strstr(verdict.error, "HTTP 40") != NULL, "cut: %s", verdict.error);
    ck_assert_uint_lt(strlen(verdict.error), sizeof(verdict.error) - 40); /* room for the request's id */
}
END_TEST

START_TEST(the_list_of_events_is_asked_for_by_type_and_time)
{
    struct buffer url = {0};
    struct api_events_query query = {.kinds = 1u << EVENT_VERIFIED | 1u << EVENT_REDACTED | 1u << EVENT_OTHER,
                                     .created_from = 1793268000};
    api_events_url(TEXT("https://api.stripe.com/"), &query, &url);
    ck_assert_text_eq(buffer_text(&url),
                      "https://api.stripe.com/v1/events?limit=100&created[gte]=1793268000"
                      "&types[]=identity.verification_session.verified&types[]=identity.verification_session.redacted");
    buffer_clear(&url);
    query = (struct api_events_query){.kinds = 1u << EVENT_CREATED, .undelivered = true, .after = TEXT("evt_1")};
    api_events_url(TEXT("http://h"), &query, &url);
    ck_assert_text_eq(buffer_text(&url),
                      "http://h/v1/events?limit=100&created[gte]=0&types[]=identity.verification_session.created"
                      "&delivery_success=false&starting_after=evt_1");
    buffer_free(&url);
}
END_TEST

START_TEST(a_key_that_may_not_list_events_is_told_which_permission_it_lacks)
{
    struct api_reply reply = {.subject = API_EVENTS, .status = 403};
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    ck_assert_int_eq(verdict.outcome, API_PERMANENT);
    ck_assert_str_eq(verdict.reason, "stripe_key_lacks_permission");
    ck_assert_ptr_nonnull(strstr(verdict.error, "Read on Events"));
    reply.status = 503;
    api_judge(&reply, &verdict);
    ck_assert_int_eq(verdict.outcome, API_TRANSIENT);
}
END_TEST

START_TEST(every_error_code_has_its_words)
{
    ck_assert(!error_code_find("under_supported_age")->retryable);
    ck_assert(!error_code_find("consent_declined")->retryable);
    ck_assert(error_code_find("document_expired")->retryable);
    ck_assert_str_eq(error_code_find("brand_new_code")->code, "unknown");
    ck_assert(error_code_find(NULL)->retryable);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, answers_are_judged_by_stripes_rules, 0, (int)ARRAY_LENGTH(rules));
    tcase_add_test(tests, a_timeout_is_told_from_a_refused_connection);
    tcase_add_test(tests, retry_after_is_honoured_in_seconds_only);
    tcase_add_test(tests, the_error_names_code_and_request_but_never_the_message);
    tcase_add_test(tests, the_url_expands_what_was_chosen);
    tcase_add_loop_test(tests, an_id_that_is_none_never_gets_into_a_url, 0, (int)ARRAY_LENGTH(bad_ids));
    tcase_add_test(tests, a_limit_of_the_rate_is_told_from_a_lock);
    tcase_add_test(tests, what_concerns_all_is_told_from_what_concerns_one);
    tcase_add_loop_test(tests, a_refusal_of_one_session_says_what_is_wrong_with_it, 0, (int)ARRAY_LENGTH(refusals));
    tcase_add_test(tests, the_list_of_events_is_asked_for_by_type_and_time);
    tcase_add_test(tests, a_key_that_may_not_list_events_is_told_which_permission_it_lacks);
    tcase_add_test(tests, every_error_code_has_its_words);
}

int main(void)
{
    return unit_run("api", fill);
}
