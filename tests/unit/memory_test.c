#include "unit.h"

#include <jansson.h>
#include <unistd.h>

#include "base/redis_url.h"
#include "base/settings.h"
#include "core/mail_message.h"
#include "core/mail_templates.h"
#include "core/onboarding.h"
#include "core/session_request.h"
#include "core/standard_webhook.h"
#include "core/token.h"
#include "net/redis_words.h"
#include "stripe/api.h"
#include "stripe/sample.h"
#include "stripe/session.h"
#include "stripe/signature.h"
#include "stripe/ticket.h"

/*
 * Every module without I/O, with its first allocation failing, then its second, and so on: it must say so, and neither
 * crash nor leak nor claim to have succeeded with half a result. The linker puts the functions below in the place of
 * the real ones.
 */
static long allowed = -1; /* allocations until one fails; -1: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *string);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *string);

static bool whole = true; /* the subject's result is all there; looked at only after a success */

static bool fails(void)
{
    return allowed >= 0 && allowed-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *string)
{
    return fails() ? NULL : __real_strdup(string);
}

/* ---- what is tried: each returns the module's status, and frees what it got */

static int make_keys(void)
{
    struct text secrets[] = {TEXT("whsec_a"), TEXT("whsec_b")};
    struct signature_keys *keys;
    int status = signature_keys_create(secrets, 2, &keys);
    if (status == 0) {
        signature_keys_free(keys);
    }
    return status;
}

static int make_sample(void)
{
    struct sample_options options = {.kind = EVENT_VERIFIED, .nonce = "0123456789abcdef", .now = 1};
    struct buffer body = {0};
    char id[64];
    int status = sample_event(&options, &body, id);
    buffer_free(&body);
    return status;
}

static int read_session(void)
{
    static const char json[] = "{\"object\":\"identity.verification_session\",\"id\":\"vs_1\",\"status\":\"verified\","
                               "\"client_reference_id\":\"u\",\"provided_details\":{\"email\":\"a@b\"},"
                               "\"last_error\":{\"code\":\"abandoned\"},\"verified_outputs\":{\"first_name\":\"J\"}}";
    struct session *session;
    int status = session_parse(TEXT(json), 1, &session);
    /* The library says the same of a document that it cannot read and of one for which it has no memory. */
    status = status == SESSION_NOT_ONE ? -1 : status;
    whole = session && strcmp(session->user, "u") == 0 && strcmp(session->email, "a@b") == 0 &&
            strcmp(session->error_code, "abandoned") == 0 && json_object_size(session->outputs) == 1;
    session_free(session);
    return status;
}

static int read_request(const char *type, const char *body)
{
    struct session_request request;
    int status = session_request_parse(text_of(type), text_of(body), &request);
    /* As above. */
    status = status == SESSION_REQUEST_MALFORMED ? -1 : status;
    whole = request.named && request.integration == INTEGRATION_NATIVE;
    session_request_clear(&request);
    return status;
}

static int read_json_request(void)
{
    return read_request("application/json", "{\"integration\":\"native\"}");
}

static int read_form_request(void)
{
    return read_request("application/x-www-form-urlencoded", "access_token=a.b&integration=native");
}

static int make_ticket_form(void)
{
    struct session_settings settings = {.document_options = 7, .document_types = 7, .return_url = "https://x/"};
    struct ticket_holder holder = {.user = "u", .email = "a@b"};
    struct buffer form = {0};
    ticket_form(&settings, &holder, &form);
    int status = buffer_status(&form);
    buffer_free(&form);
    return status;
}

static int read_ticket(void)
{
    static const char json[] =
        "{\"object\":\"identity.verification_session\",\"id\":\"vs_1\",\"status\":\"requires_input\","
        "\"client_secret\":\"s\",\"url\":\"https://x/\"}";
    struct ticket ticket;
    int status = ticket_parse(TEXT(json), &ticket);
    status = status == TICKET_NOT_ONE ? -1 : status;
    whole = ticket.client_secret && ticket.url;
    ticket_clear(&ticket);
    return status;
}

static int make_token_keys(void)
{
    struct secret secrets[] = {{.data = "one", .length = 3}, {.data = "two", .length = 3}};
    struct token_keys *keys;
    int status = token_keys_create(secrets, 2, &keys);
    if (status == 0) {
        token_keys_free(keys);
    }
    return status;
}

static int make_url(void)
{
    struct buffer url = {0};
    int status = api_session_url(TEXT("https://api.stripe.com"), TEXT("vs_1"), 7, &url);
    status = status == 0 ? buffer_status(&url) : status;
    buffer_free(&url);
    return status;
}

static int read_redis_url(void)
{
    struct redis_url url;
    int status = redis_url_parse(TEXT("redis://user:pass@host:1/2"), &url);
    redis_url_free(&url);
    return status;
}

static int add_words(void)
{
    struct text texts[] = {TEXT("GET"), TEXT("a key that is longer than what a buffer begins with, which is little")};
    struct redis_words words = {0};
    int status = redis_words_add(&words, 1, texts);
    struct redis_words before = words;
    if (status == 0) {
        status = redis_words_add(&words, 2, texts);
        bool all_or_none = words.count == (status == 0 ? 3 : 1);
        redis_words_rewind(&words, &before);
        bool goes_on = redis_words_add(&words, 1, texts) == 0 && words.count == 2 &&
                       text_equal(buffer_text(&words.bytes), TEXT("$3\r\nGET\r\n$3\r\nGET\r\n"));
        if (!all_or_none || !goes_on) {
            abort();
        }
    }
    redis_words_free(&words);
    return status;
}

static int read_templates(void)
{
    static const struct mail_template_file files[] = {
        {.path = "a",
         .locale = "",
         .name = "verified.txt",
         .content = TEXT("{{#brand.name}}{{brand.name}}{{/brand.name}}")},
        {.path = "b", .locale = "", .name = "reasons.txt", .content = TEXT("abandoned.title: x")},
    };
    struct mail_templates *templates;
    struct buffer faults = {0};
    int status = mail_templates_create(files, ARRAY_LENGTH(files), &templates, &faults);
    mail_templates_free(templates);
    buffer_free(&faults);
    return status;
}

static int refuse_template(void)
{
    static const struct mail_template_file file = {
        .path = "a", .locale = "", .name = "verified.txt", .content = TEXT("{{x}}")};
    struct mail_templates *templates;
    struct buffer faults = {0};
    int status = mail_templates_create(&file, 1, &templates, &faults);
    buffer_free(&faults);
    return status == MAIL_TEMPLATES_FAULTY ? 0 : status;
}

static struct mail_templates *built_in; /* made before allocations fail */

static int write_mail(void)
{
    struct settings settings = {.brand_color = "#000000", .retry_page = "https://x/"};
    struct mail_facts facts = {
        .settings = &settings, .kind = MAIL_REQUIRES_INPUT, .code = error_code_find("document_expired")};
    struct mail_text text;
    struct buffer out = {0};
    int status = mail_templates_write(built_in, &facts, &text);
    if (status == 0) {
        struct mail_message message = {.from = {TEXT("Zo\xc3\xab"), TEXT("a@b")},
                                       .to = {.address = TEXT("c@d")},
                                       .event = TEXT("evt_1"),
                                       .subject = buffer_text(&text.subject),
                                       .plain = TEXT("\xc3\xab\xc3\xab"),
                                       .html = buffer_text(&text.html)};
        status = mail_message_write(&message, &out);
    }
    mail_text_free(&text);
    buffer_free(&out);
    return status;
}

static int write_update(void)
{
    struct session session = {.id = "vs_1", .status_text = "verified", .has_error = true};
    struct onboarding_update update = {.event = TEXT("evt_1"), .type = "verified", .session = &session};
    struct buffer out = {0};
    int status = onboarding_write(&update, &out);
    whole = out.length > 200 && out.data[out.length - 1] == '}';
    buffer_free(&out);
    return status;
}

static int sign_update(void)
{
    struct buffer out = {0};
    int status =
        standard_webhook_sign(TEXT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), TEXT("evt_1"), 1, TEXT("{}"), &out);
    buffer_free(&out);
    return status;
}

static int read_settings(void)
{
    struct settings settings;
    struct buffer faults = {0};
    int status = settings_load(&settings, SETTINGS_FOR_INGEST | SETTINGS_FOR_WORK, NULL, &faults);
    settings_free(&settings);
    buffer_free(&faults);
    return status;
}

static const struct {
    const char *name;
    int (*run)(void);
    bool may_do_without;
} subjects[] = {
    {"signature keys", make_keys, false},
    {"a sample", make_sample, false},
    {"a session", read_session, true},
    {"an API URL", make_url, false},
    {"a Redis URL", read_redis_url, false},
    {"a mail", write_mail, false},
    {"templates", read_templates, false},
    {"a faulty template", refuse_template, false},
    {"an update", write_update, true},
    {"a signature", sign_update, false},
    {"settings", read_settings, false},
    {"a JSON request", read_json_request, true},
    {"a form", read_form_request, true},
    {"a ticket form", make_ticket_form, false},
    {"a ticket", read_ticket, true},
    {"token keys", make_token_keys, false},
    {"words", add_words, false},
};

START_TEST(each_allocation_may_fail)
{
    (void)setenv("STRIPE_WEBHOOK_SECRET", "old=whsec_a,whsec_b", 1);
    (void)setenv("STRIPE_SECRET_KEY", "sk_test_a", 1);
    (void)setenv("SMTP_URL", "smtp://h", 1);
    (void)setenv("IDENTIHOOK_MAIL_FROM", "a@b", 1);
    json_set_alloc_funcs(__wrap_malloc, free);
    struct buffer none = {0};
    ck_assert_int_eq(mail_templates_create(NULL, 0, &built_in, &none), 0);
    ck_assert_int_eq(subjects[_i].run(), 0);
    for (long failing = 0;; failing++) {
        allowed = failing;
        int status = subjects[_i].run();
        bool reached = allowed < 0;
        allowed = -1;
        if (!reached) {
            ck_assert_int_eq(status, 0);
            ck_assert_int_gt(failing, 0);
            break;
        }
        /* The JSON library can do without some of its allocations; the subjects look at what they got. */
        ck_assert_msg(status != 0 || (subjects[_i].may_do_without && whole),
                      "%s: success although allocation %ld failed", subjects[_i].name, failing);
    }
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, each_allocation_may_fail, 0, (int)ARRAY_LENGTH(subjects));
}

int main(void)
{
    return unit_run("memory", fill);
}
