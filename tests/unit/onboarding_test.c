#include "unit.h"

#include <jansson.h>

#include "core/onboarding.h"
#include "core/standard_webhook.h"

static json_t *write_update(const struct session *session)
{
    struct onboarding_update update = {
        .event = TEXT("evt_1"), .type = "requires_input", .created = 1793268500, .livemode = true, .session = session};
    struct buffer out = {0};
    ck_assert_int_eq(onboarding_write(&update, &out), 0);
    json_t *json = json_loadb(out.data, out.length, 0, NULL);
    ck_assert_ptr_nonnull(json);
    buffer_free(&out);
    return json;
}

static const char *member(json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

START_TEST(an_update_has_every_member_of_the_contract)
{
    struct session session = {.id = "vs_1",
                              .status_text = "requires_input",
                              .user = "user_\"1\"",
                              .user_source = "metadata",
                              .has_error = true,
                              .error_code = "document_expired",
                              .outputs = json_pack("{s:s}", "first_name", "Jenny")};
    json_t *json = write_update(&session);
    ck_assert_str_eq(member(json, "type"), "identity.requires_input");
    ck_assert_str_eq(member(json, "event"), "evt_1");
    ck_assert_str_eq(member(json, "session"), "vs_1");
    ck_assert_str_eq(member(json, "user"), "user_\"1\"");
    ck_assert_str_eq(member(json, "status"), "requires_input");
    ck_assert(json_is_true(json_object_get(json, "livemode")));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "created")), 1793268500);
    json_t *reason = json_object_get(json, "reason");
    ck_assert_str_eq(member(reason, "code"), "document_expired");
    ck_assert(json_is_true(json_object_get(reason, "retryable")));
    ck_assert_str_eq(member(json_object_get(json, "verified_outputs"), "first_name"), "Jenny");
    ck_assert_str_eq(member(json, "user_source"), "metadata");
    ck_assert(json_is_true(json_object_get(json, "user_trusted")));
    ck_assert_uint_eq(json_object_size(json), 11);
    json_decref(session.outputs);
    json_decref(json);
}
END_TEST

START_TEST(a_user_whom_a_link_has_named_is_marked)
{
    struct session session = {.id = "vs_1",
                              .status_text = "verified",
                              .user = "anybody",
                              .user_source = "client_reference_id",
                              .from_link = true};
    json_t *json = write_update(&session);
    ck_assert_str_eq(member(json, "user_source"), "client_reference_id");
    ck_assert(json_is_false(json_object_get(json, "user_trusted")));
    json_decref(json);
}
END_TEST

START_TEST(what_there_is_none_of_is_null)
{
    struct session session = {.id = "vs_1", .status_text = "verified"};
    json_t *json = write_update(&session);
    ck_assert(json_is_null(json_object_get(json, "user")));
    ck_assert(json_is_null(json_object_get(json, "user_source")));
    ck_assert(json_is_false(json_object_get(json, "user_trusted")));
    ck_assert(json_is_null(json_object_get(json, "reason")));
    ck_assert(json_is_null(json_object_get(json, "verified_outputs")));
    json_decref(json);
}
END_TEST

/* Made with the specification's own JavaScript library. */
START_TEST(the_signature_is_the_one_that_the_specifications_library_makes)
{
    struct buffer signature = {0};
    ck_assert_int_eq(standard_webhook_sign(TEXT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), TEXT("evt_1"), 1793268500,
                                           TEXT("{\"a\":1}"), &signature),
                     0);
    ck_assert_str_eq(signature.data, "v1,ky0r9ubIes0N/bWXXhfrUSJBb/yahRTRmvPZ9oL2gHE=");
    buffer_free(&signature);
}
END_TEST

static const char *const bad_secrets[] = {"", "whsec_", "whsec_abc", "whsec_????", "not base64!"};

START_TEST(a_secret_that_is_not_base64_signs_nothing)
{
    struct buffer signature = {0};
    ck_assert_int_lt(standard_webhook_sign(text_of(bad_secrets[_i]), TEXT("evt_1"), 1, TEXT("{}"), &signature), 0);
    buffer_free(&signature);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, an_update_has_every_member_of_the_contract);
    tcase_add_test(tests, a_user_whom_a_link_has_named_is_marked);
    tcase_add_test(tests, what_there_is_none_of_is_null);
    tcase_add_test(tests, the_signature_is_the_one_that_the_specifications_library_makes);
    tcase_add_loop_test(tests, a_secret_that_is_not_base64_signs_nothing, 0, (int)ARRAY_LENGTH(bad_secrets));
}

int main(void)
{
    return unit_run("onboarding", fill);
}
