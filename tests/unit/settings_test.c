#include "unit.h"

#include <unistd.h>

#include "base/color.h"
#include "base/settings.h"

/* Each test is a process of its own, so the environment may be changed freely. */
static void minimal(void)
{
    clearenv();
    (void)setenv("STRIPE_WEBHOOK_SECRET", "whsec_abc", 1);
    (void)setenv("STRIPE_SECRET_KEY", "sk_test_abc", 1);
}

static char *load(struct settings *settings, const char *env_file)
{
    struct buffer faults = {0};
    int status = settings_load(settings, SETTINGS_FOR_INGEST | SETTINGS_FOR_WORK, env_file, &faults);
    ck_assert_int_eq(status != 0, faults.length > 0);
    return faults.data;
}

/* The one setting is faulty, and the complaint has `part` in it. */
static void check_fault(const char *name, const char *value, const char *part)
{
    struct settings settings;
    (void)setenv(name, value, 1);
    char *faults = load(&settings, NULL);
    ck_assert_msg(faults != NULL, "%s=%s was taken", name, value);
    ck_assert_msg(strstr(faults, name) && strstr(faults, part), "%s=%s: %s", name, value, faults);
    free(faults);
    settings_free(&settings);
}

START_TEST(defaults_are_those_of_the_table)
{
    struct settings settings;
    minimal();
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_str_eq(settings.stripe_api_base, "https://api.stripe.com");
    ck_assert_str_eq(settings.redis.hosts[0].name, "127.0.0.1");
    ck_assert_uint_eq(settings.redis.hosts[0].port, 6379);
    ck_assert_uint_eq(settings.listen.port, 4242);
    ck_assert_str_eq(settings.webhook_path, "/webhook");
    ck_assert_uint_eq(settings.signature_tolerance_ms, 300000);
    ck_assert_uint_eq(settings.events, 1u << 2 | 1u << 3);
    ck_assert_uint_eq(settings.max_body, 1 << 20);
    ck_assert_uint_eq(settings.dedupe_window_ms, UINT64_C(30) * 86400000);
    ck_assert_uint_eq(settings.max_attempts, 16);
    ck_assert_uint_eq(settings.retry_cap_ms, 6 * 3600000);
    ck_assert_uint_eq(settings.stripe_rate, 1200);
    ck_assert_uint_ge(settings.loops, 1);
    ck_assert_uint_eq(settings.actions_verified.count, 0);
    settings_free(&settings);
}
END_TEST

static const struct {
    const char *name;
    const char *value;
    const char *part;
} faults[] = {
    {"STRIPE_WEBHOOK_SECRET", "", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "   ", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a,", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a\n", "line end"},
    {"STRIPE_WEBHOOK_SECRET", ",whsec_a", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a, ", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a , ,whsec_b", "empty"},
    {"STRIPE_WEBHOOK_SECRET", " whsec_a,whsec_b", "blank"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a,whsec_b ", "blank"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a,a= whsec_b", "blank"},
    {"STRIPE_WEBHOOK_SECRET", "\xef\xbb\xbfwhsec_a", "byte order mark"},
    {"STRIPE_WEBHOOK_SECRET", "sk_live_1", "API key"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_a,rk_live_1", "API key"},
    {"STRIPE_WEBHOOK_SECRET", "pk_live_1", "API key"},
    {"STRIPE_WEBHOOK_SECRET", "live=sk_live_1", "API key"},
    {"STRIPE_WEBHOOK_SECRET", "old=", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "old= ,new=whsec_a", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "whsec_", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "new=whsec_", "empty"},
    {"STRIPE_WEBHOOK_SECRET", "=whsec_a", "label"},
    {"STRIPE_WEBHOOK_SECRET", "two words=whsec_a", "label"},
    {"STRIPE_WEBHOOK_SECRET", "a-label-of-more-than-31-characters=whsec_a", "label"},
    {"STRIPE_WEBHOOK_SECRET", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16"},
    {"STRIPE_SECRET_KEY", " ", "empty"},
    {"STRIPE_SECRET_KEY", "sk_test_a\n", "line end"},
    {"STRIPE_SECRET_KEY", "sk_test a", "blank"},
    {"STRIPE_SECRET_KEY", "whsec_a", "signing secret"},
    {"STRIPE_SECRET_KEY", "pk_live_1", "publishable"},
    {"STRIPE_SECRET_KEY", "abc", "rk_ or sk_"},
    {"STRIPE_API_BASE", "ftp://x", "https://"},
    {"STRIPE_API_BASE", "https://", "host"},
    {"STRIPE_API_BASE", "https:///v1", "host"},
    {"STRIPE_API_BASE", "https://h:0", "port"},
    {"STRIPE_API_BASE", "https://h:x", "port"},
    {"STRIPE_API_BASE", "https://a b", "host"},
    {"STRIPE_API_BASE", "https://h/a b", "blank"},
    {"STRIPE_API_BASE", "https://user:hunter2@h", "login"},
    {"STRIPE_API_BASE", "https://h?a=b", "'?'"},
    {"STRIPE_API_VERSION", "2026 10", "blanks"},
    {"IDENTIHOOK_RETRY_PAGE", "example.com", "https://"},
    {"IDENTIHOOK_ONBOARDING_URL", "https://[::1/x", "host"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "whsec_", "base64"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "whsec_abc", "base64"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "whsec_ab==cd==", "base64"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "whsec_a-b_", "base64"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "", "empty"},
    {"IDENTIHOOK_MAIL_FROM", "nobody", "address"},
    {"IDENTIHOOK_MAIL_FROM", "Shop <a@b", "address"},
    {"IDENTIHOOK_MAIL_FROM", "Shop <a@b>\nBcc: c@d", "address"},
    {"IDENTIHOOK_MAIL_FROM", "Shop, Inc. <a@b>", "quotes"},
    {"IDENTIHOOK_MAIL_FROM", "\"Shop <a@b>", "quotes"},
    {"IDENTIHOOK_MAIL_REPLY_TO", "nobody", "address"},
    {"IDENTIHOOK_MAIL_REPLY_TO", "a@b\r\nBcc: c@d", "address"},
    {"IDENTIHOOK_MAIL_REPLY_TO", "j\xc3\xb6rg@b", "ASCII"},
    {"IDENTIHOOK_SMTP_CONNECTIONS", "0", "too small; 1 to 64"},
    {"IDENTIHOOK_SMTP_CONNECTIONS", "65", "too large; 1 to 64"},
    {"IDENTIHOOK_SMTP_IDLE", "2h", "too large"},
    {"IDENTIHOOK_MAX_WAITING_MAILS", "0", "too small"},
    {"IDENTIHOOK_SUPPORT_ADDRESS", "Help <help@b>", "bare"},
    {"IDENTIHOOK_SUPPORT_ADDRESS", "help", "bare"},
    {"IDENTIHOOK_BRAND_NAME", " ", "empty"},
    {"IDENTIHOOK_BRAND_NAME", "a\nb", "control"},
    {"IDENTIHOOK_BRAND_COLOR", "red", "six hexadecimal digits"},
    {"IDENTIHOOK_BRAND_COLOR", "#12345", "six hexadecimal digits"},
    {"IDENTIHOOK_BRAND_COLOR", "#12345;", "six hexadecimal digits"},
    {"IDENTIHOOK_BRAND_LOGO_URL", "data:image/png;base64,", "https://"},
    {"IDENTIHOOK_ALTERNATIVE_PAGE", "javascript:alert(1)", "https://"},
    {"IDENTIHOOK_SESSION_TOKEN_SECRET", "", "empty"},
    {"IDENTIHOOK_SESSION_TOKEN_SECRET", "0123456789abcde", "16 bytes"},
    {"IDENTIHOOK_SESSION_TOKEN_SECRET", "0123456789abcdef,", "empty"},
    {"IDENTIHOOK_SESSION_TOKEN_SECRET", "0123456789abcdef\n", "line end"},
    {"IDENTIHOOK_SESSION_TOKEN_SECRET", "whsec_0123456789abcdef", "Stripe's"},
    {"IDENTIHOOK_SESSION_TOKEN_SECRET", "sk_live_0123456789abcdef", "Stripe's"},
    {"IDENTIHOOK_SESSION_TOKEN_LEEWAY", "6m", "large"},
    {"IDENTIHOOK_SESSION_INTEGRATION", "web", "modal"},
    {"IDENTIHOOK_SESSION_TYPE", "passport", "document"},
    {"IDENTIHOOK_SESSION_FLOW", "vf_", "vf_"},
    {"IDENTIHOOK_SESSION_FLOW", "vf_a/../b", "vf_"},
    {"IDENTIHOOK_SESSION_DOCUMENT_OPTIONS", "require_selfie", "require_matching_selfie"},
    {"IDENTIHOOK_SESSION_DOCUMENT_TYPES", "visa", "passport"},
    {"IDENTIHOOK_SESSION_RETURN_URL", "javascript:alert(1)", "https://"},
    {"IDENTIHOOK_SESSION_ATTEMPTS", "0", "small"},
    {"IDENTIHOOK_SESSION_USER_RATE", "often", "rate"},
    {"IDENTIHOOK_SESSION_ADDRESS_HEADER", "X Forwarded", "header"},
    {"IDENTIHOOK_SESSION_ADDRESS_HEADER", "", "empty"},
    {"IDENTIHOOK_SESSION_ORIGINS", "app.example.com", "https://"},
    {"IDENTIHOOK_SESSION_ORIGINS", "https://app.example.com/", "'/'"},
    {"IDENTIHOOK_SESSION_ORIGINS", "https://App.example.com", "capital"},
    {"IDENTIHOOK_SESSION_ORIGINS", "*", "https://"},
    {"STRIPE_PUBLISHABLE_KEY", "sk_live_1", "publishable"},
    {"STRIPE_PUBLISHABLE_KEY", "pk_", "pk_"},
    {"STRIPE_PUBLISHABLE_KEY", "pk_live_\"><script>", "no key has"},
    {"REDIS_URL", "http://x", "redis://"},
    {"REDIS_URL", "redis://:6379", "redis://"},
    {"REDIS_URL", "redis://h:99999", "redis://"},
    {"REDIS_URL", "redis://h/x", "redis://"},
    {"REDIS_URL", "unix://relative", "redis://"},
    {"IDENTIHOOK_NAMESPACE", "a{b}", "letters"},
    {"IDENTIHOOK_NAMESPACE", "", "letters"},
    {"IDENTIHOOK_NAMESPACE", "12345678901234567890123456789012345678901234567890123456789012345", "1 to 64"},
    {"IDENTIHOOK_LISTEN", "4242", "ADDRESS:PORT"},
    {"IDENTIHOOK_LISTEN", "localhost:4242", "numeric"},
    {"IDENTIHOOK_LISTEN", "0.0.0.0:70000", "ADDRESS:PORT"},
    {"IDENTIHOOK_WEBHOOK_PATH", "webhook", "'/'"},
    {"IDENTIHOOK_WEBHOOK_PATH", "/a?b", "'/'"},
    {"IDENTIHOOK_WEBHOOK_PATH", "/a#b", "'/'"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "0", "is 0"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "-1", "1s to 7d"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "0s", "is 0"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "1500ms", "whole seconds"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "30d", "too large"},
    {"IDENTIHOOK_EVENTS", "verified,succeeded", "created"},
    {"IDENTIHOOK_LIVEMODE", "true", "any, live or test"},
    {"IDENTIHOOK_MAX_BODY", "1 MB", "size"},
    {"IDENTIHOOK_MAX_BODY", "1", "too small; 1k to 64M, for example IDENTIHOOK_MAX_BODY=1M"},
    {"IDENTIHOOK_MAX_BODY", "65M", "too large"},
    {"IDENTIHOOK_MAX_BODY", "99999999999999999999", "too large"},
    {"IDENTIHOOK_EVENTS", "", "created"},
    {"IDENTIHOOK_MAX_CONNECTIONS", "0", "too small"},
    {"IDENTIHOOK_MAX_CONNECTIONS", "-1", "whole number"},
    {"IDENTIHOOK_REQUEST_TIMEOUT", "10", "duration"},
    {"IDENTIHOOK_REQUEST_TIMEOUT", "2h", "50ms to 1h"},
    {"IDENTIHOOK_STRIPE_RATE", "20", "rate"},
    {"IDENTIHOOK_STRIPE_RATE", "0/s", "too small; 1/m to 100000/s"},
    {"IDENTIHOOK_RETRY_BASE", "7h", "RETRY_CAP"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "email", "SMTP_URL"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "fax", "list of"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "onboarding", "IDENTIHOOK_ONBOARDING_URL"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "email,email", "twice"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "postgres", "DATABASE_URL"},
    {"DATABASE_URL", "mysql://db/app", "postgresql://"},
    {"DATABASE_URL", "postgresql://u:p w@db/app", "%20"},
    {"IDENTIHOOK_POSTGRES_CONNECTIONS", "0", "1 to 1000"},
    {"IDENTIHOOK_VERIFIED_OUTPUTS", "shoe_size", "list of"},
    {"SMTP_URL", "mail.example.com", "smtp://"},
    {"SMTP_URL", "smtp://user:pass@h", "SMTP_USERNAME"},
    {"SMTP_URL", "smtp://h?starttls=maybe", "starttls"},
    {"SMTP_URL", "smtp://h?starttls=off&login=please", "login=cleartext"},
    {"SMTP_URL", "smtp://", "host"},
    {"SMTP_URL", "smtps://h:65536", "port"},
    {"SMTP_USERNAME", "mailer\r", "blank"},
    {"SMTP_PASSWORD", "p", "SMTP_USERNAME"},
    {"SMTP_URL", "smtp://h", "IDENTIHOOK_MAIL_FROM"},
    {"SMTP_USERNAME", "u", "SMTP_PASSWORD"},
    {"IDENTIHOOK_TLS_CERT", "/x", "IDENTIHOOK_TLS_KEY"},
    {"IDENTIHOOK_TLS_CERT", "", "empty"},
    {"IDENTIHOOK_TLS_CLIENT_CA", "/x", "IDENTIHOOK_TLS_CERT"},
    {"IDENTIHOOK_LOOPS", "1.5", "0 to 256"},
    {"IDENTIHOOK_LOG_LEVEL", "verbose", "debug"},
    {"IDENTIHOOK_LOG_FORMAT", "xml", "text"},
};

START_TEST(a_faulty_value_is_named_with_its_fault)
{
    minimal();
    check_fault(faults[_i].name, faults[_i].value, faults[_i].part);
}
END_TEST

START_TEST(a_fault_shows_an_example_and_never_a_secret)
{
    static const char *const values[][2] = {
        {"STRIPE_WEBHOOK_SECRET", "whsec_hunter2 "},  {"STRIPE_SECRET_KEY", "hunter2-is-secret"},
        {"REDIS_URL", "redis://:hunter2-is-secret@"}, {"STRIPE_API_BASE", "https://:hunter2@h"},
        {"SMTP_URL", "smtp://u:hunter2@h"},           {"SMTP_PASSWORD", " hunter2"},
        {"IDENTIHOOK_ONBOARDING_SECRET", "hunter2"},
    };
    struct settings settings;
    minimal();
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        (void)setenv(values[i][0], values[i][1], 1);
    }
    char *text = load(&settings, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        char example[80];
        (void)snprintf(example, sizeof(example), "for example %s=", values[i][0]);
        ck_assert_msg(strstr(text, example) != NULL, "no '%s' in: %s", example, text);
    }
    ck_assert_ptr_null(strstr(text, "hunter2"));
    free(text);
    settings_free(&settings);
}
END_TEST

static const struct {
    const char *values[3][2];
    const char *part;
} clashes[] = {
    {{{"STRIPE_SECRET_KEY", "rk_live_1"}, {"STRIPE_PUBLISHABLE_KEY", "pk_test_1"}}, "different modes"},
    {{{"IDENTIHOOK_SESSION_TYPE", "document"}, {"IDENTIHOOK_SESSION_FLOW", "vf_1"}}, "exclude each other"},
    {{{"IDENTIHOOK_SESSION_FLOW", "vf_1"}, {"IDENTIHOOK_SESSION_DOCUMENT_TYPES", "passport"}}, "not for a flow"},
};

START_TEST(settings_of_sessions_that_clash_are_faulty)
{
    struct settings settings;
    minimal();
    for (size_t i = 0; i < 3 && clashes[_i].values[i][0]; i++) {
        (void)setenv(clashes[_i].values[i][0], clashes[_i].values[i][1], 1);
    }
    char *text = load(&settings, NULL);
    ck_assert_msg(strstr(text, clashes[_i].part) != NULL, "no '%s' in: %s", clashes[_i].part, text);
    free(text);
    settings_free(&settings);
}
END_TEST

START_TEST(sessions_need_a_key_where_requests_come_in)
{
    struct settings settings;
    struct buffer text = {0};
    clearenv();
    (void)setenv("STRIPE_WEBHOOK_SECRET", "whsec_a", 1);
    (void)setenv("IDENTIHOOK_SESSION_TOKEN_SECRET", "0123456789abcdef", 1);
    ck_assert_int_eq(settings_load(&settings, SETTINGS_FOR_INGEST, NULL, &text), SETTINGS_FAULTY);
    ck_assert_ptr_nonnull(strstr(text.data, "STRIPE_SECRET_KEY"));
    settings_free(&settings);
    ck_assert_int_eq(settings_load(&settings, 0, NULL, &text), 0);
    settings_free(&settings);
    buffer_free(&text);
}
END_TEST

START_TEST(what_is_missing_is_required_only_by_who_needs_it)
{
    struct settings settings;
    struct buffer text = {0};
    clearenv();
    ck_assert_int_eq(settings_load(&settings, 0, NULL, &text), 0);
    settings_free(&settings);
    ck_assert_int_ne(settings_load(&settings, SETTINGS_FOR_INGEST | SETTINGS_FOR_WORK, NULL, &text), 0);
    ck_assert_ptr_nonnull(strstr(text.data, "STRIPE_WEBHOOK_SECRET is required"));
    ck_assert_ptr_nonnull(strstr(text.data, "STRIPE_SECRET_KEY is required"));
    settings_free(&settings);
    buffer_free(&text);
}
END_TEST

START_TEST(an_unknown_name_is_a_fault_with_the_nearest_known_one)
{
    minimal();
    check_fault("IDENTIHOOK_MAX_BODDY", "1M", "did you mean IDENTIHOOK_MAX_BODY?\n");
    (void)unsetenv("IDENTIHOOK_MAX_BODDY");
    check_fault("IDENTIHOOK_LISTE_FILE", "/x", "did you mean IDENTIHOOK_LISTEN_FILE?\n");
    (void)unsetenv("IDENTIHOOK_LISTE_FILE");
    check_fault("IDENTIHOOK_SOMETHING_ELSE", "1", "serve --help");
}
END_TEST

START_TEST(names_of_others_are_none_of_its_business)
{
    struct settings settings;
    minimal();
    (void)setenv("DATABASE_HOST", "x", 1);
    (void)setenv("SMTP_HOST", "x", 1);
    (void)setenv("STRIPE_ACCOUNT", "x", 1);
    ck_assert_ptr_null(load(&settings, NULL));
    settings_free(&settings);
}
END_TEST

START_TEST(all_faults_are_told_at_once)
{
    struct settings settings;
    minimal();
    (void)setenv("IDENTIHOOK_MAX_BODY", "x", 1);
    (void)setenv("IDENTIHOOK_LISTEN", "x", 1);
    char *text = load(&settings, NULL);
    ck_assert_ptr_nonnull(strstr(text, "IDENTIHOOK_MAX_BODY"));
    ck_assert_ptr_nonnull(strstr(text, "IDENTIHOOK_LISTEN"));
    free(text);
    settings_free(&settings);
}
END_TEST

START_TEST(several_secrets_may_carry_labels)
{
    struct settings settings;
    minimal();
    (void)setenv("STRIPE_WEBHOOK_SECRET", "old=whsec_a, whsec_b=c ,\tnew=whsec_d , =\xd0\xba=", 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_uint_eq(settings.webhook_secret_count, 4);
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[3].value), "=\xd0\xba=");
    ck_assert_str_eq(settings.webhook_secrets[0].label, "old");
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[0].value), "whsec_a");
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[1].value), "whsec_b=c");
    ck_assert_str_eq(settings.webhook_secrets[2].label, "new");
    settings_free(&settings);
}
END_TEST

static const char *const fine[][2] = {
    {"STRIPE_API_BASE", "http://127.0.0.1:12111/"},
    {"IDENTIHOOK_RETRY_PAGE", "https://[::1]:8443/verify?from=mail#start"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    {"IDENTIHOOK_ONBOARDING_SECRET", "YQ=="},
    {"IDENTIHOOK_MAIL_FROM", "identity@example.com"},
    {"IDENTIHOOK_MAIL_FROM", "Example Inc. <identity@example.com>"},
    {"IDENTIHOOK_MAIL_FROM", "\"Example, Inc.\" <identity@example.com>"},
    {"IDENTIHOOK_MAIL_FROM", "B\xc3\xbcro <identity@example.com>"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "600"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "5m"},
    {"IDENTIHOOK_LISTEN", "[::1]:0"},
    {"IDENTIHOOK_LOOPS", "0"},
    {"IDENTIHOOK_EVENTS", "verified, redacted"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", ""},
    {"IDENTIHOOK_VERIFIED_OUTPUTS", ""},
};

START_TEST(a_good_value_is_taken)
{
    struct settings settings;
    minimal();
    (void)setenv(fine[_i][0], fine[_i][1], 1);
    char *text = load(&settings, NULL);
    ck_assert_msg(text == NULL, "%s", text);
    settings_free(&settings);
}
END_TEST

/* The path of a new file with this content; one a process. */
static char *new_file(struct text content)
{
    static char path[] = "/tmp/identihook-settings-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, content.data, content.length), content.length);
    (void)close(file);
    return path;
}

START_TEST(a_value_may_come_from_a_file)
{
    struct settings settings;
    char *path = new_file(TEXT("whsec_from_file\n"));
    minimal();
    (void)unsetenv("STRIPE_WEBHOOK_SECRET");
    (void)setenv("STRIPE_WEBHOOK_SECRET_FILE", path, 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[0].value), "whsec_from_file");
    settings_free(&settings);
    check_fault("STRIPE_WEBHOOK_SECRET", "whsec_both", "both set");
    (void)unsetenv("STRIPE_WEBHOOK_SECRET");
    (void)unlink(path);
    check_fault("STRIPE_WEBHOOK_SECRET_FILE", path, "No such file");
    check_fault("STRIPE_WEBHOOK_SECRET_FILE", "/", "directory");
}
END_TEST

static const struct {
    struct text content;
    const char *part;
} value_files[] = {
    {{"", 0}, "empty"},
    {{"\n", 1}, "empty"},
    {{" \n", 2}, "empty"},
    {{"whsec_hunter2\n\n", 15}, "line end"},
    {{"whsec_hunter2\r\n", 15}, "line end"},
    {{"whsec_hunter2 ", 14}, "blank"},
    {{"\xef\xbb\xbfwhsec_hunter2", 16}, "byte order mark"},
    {{"\xff\xfew\0h\0s\0", 8}, "NUL byte"},
    {{"whsec_hunter2\0\n", 15}, "NUL byte"},
};

START_TEST(a_file_that_holds_more_than_the_secret_is_a_fault)
{
    struct settings settings;
    char *path = new_file(value_files[_i].content);
    minimal();
    (void)unsetenv("STRIPE_WEBHOOK_SECRET");
    (void)setenv("STRIPE_WEBHOOK_SECRET_FILE", path, 1);
    char *text = load(&settings, NULL);
    (void)unlink(path);
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(strstr(text, value_files[_i].part) != NULL, "%s", text);
    ck_assert_msg(strstr(text, "STRIPE_WEBHOOK_SECRET") == text, "%s", text);
    ck_assert_ptr_null(strstr(text, "hunter2"));
    free(text);
    settings_free(&settings);
}
END_TEST

START_TEST(the_environment_wins_over_the_env_file)
{
    struct settings settings;
    char *path = new_file(TEXT("# a comment\n\nexport IDENTIHOOK_NAMESPACE='from-file'\r\n"
                               "IDENTIHOOK_WEBHOOK_PATH = \"/early\"\n  IDENTIHOOK_WEBHOOK_PATH=/it's#\"late\"  \n"
                               "IDENTIHOOK_ACTIONS_VERIFIED=\nSTRIPE_API_VERSION=a=b"));
    minimal();
    (void)setenv("IDENTIHOOK_NAMESPACE", "from-environment", 1);
    (void)setenv("IDENTIHOOK_WEBHOOK_PATH", "/kept", 1);
    ck_assert_ptr_null(load(&settings, path));
    ck_assert_str_eq(settings.namespace, "from-environment");
    ck_assert_str_eq(settings.webhook_path, "/kept");
    ck_assert_str_eq(settings.stripe_api_version, "a=b");
    ck_assert(settings.actions_verified.given);
    settings_free(&settings);
    (void)unlink(path);
}
END_TEST

START_TEST(a_later_line_of_the_env_file_wins_and_quotes_are_dropped)
{
    struct settings settings;
    char *path = new_file(TEXT("IDENTIHOOK_NAMESPACE=early\nIDENTIHOOK_NAMESPACE=\"late\"\r\n"
                               "export   STRIPE_API_VERSION='1'\n IDENTIHOOK_WEBHOOK_PATH = /it's-\"here\"\t\n"));
    minimal();
    ck_assert_ptr_null(load(&settings, path));
    ck_assert_str_eq(settings.namespace, "late");
    ck_assert_str_eq(settings.stripe_api_version, "1");
    ck_assert_str_eq(settings.webhook_path, "/it's-\"here\"");
    settings_free(&settings);
    (void)unlink(path);
}
END_TEST

START_TEST(every_malformed_line_of_the_env_file_is_told_with_its_number)
{
    struct settings settings;
    char *path = new_file(TEXT("A=1\nhunter2\n=hunter2\n1A=hunter2\nB='hunter2\nC=\"\nD=hunter2\0\n\n"
                               "IDENTIHOOK_LOOPS=many\nIDENTIHOOK_LOPS=1\nA B=2"));
    static const char *const parts[] = {
        "line 2 is not",        "line 3 is not",           "line 4 is not",
        "line 5 opens a quote", "line 6 opens a quote",    "line 7 has a NUL",
        "line 11 is not",       "IDENTIHOOK_LOOPS is not", "IDENTIHOOK_LOPS is not a setting",
    };
    minimal();
    char *text = load(&settings, path);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        ck_assert_msg(strstr(text, parts[i]) != NULL, "no '%s' in: %s", parts[i], text);
    }
    ck_assert_ptr_null(strstr(text, "hunter2"));
    ck_assert_ptr_null(strstr(text, "line 8"));
    free(text);
    settings_free(&settings);
    (void)unlink(path);
}
END_TEST

START_TEST(another_kind_of_file_is_not_told_line_by_line)
{
    struct settings settings;
    struct buffer content = {0};
    for (size_t i = 0; i < 1000; i++) {
        buffer_append_string(&content, "nonsense\n");
    }
    char *path = new_file(buffer_text(&content));
    minimal();
    char *text = load(&settings, path);
    ck_assert_ptr_nonnull(strstr(text, "line 10 "));
    ck_assert_ptr_null(strstr(text, "line 11 "));
    free(text);
    settings_free(&settings);
    (void)unlink(path);
    buffer_free(&content);
    text = load(&settings, path);
    ck_assert_ptr_nonnull(strstr(text, "cannot be read"));
    free(text);
    settings_free(&settings);
}
END_TEST

START_TEST(actions_default_to_those_whose_target_is_there)
{
    struct settings settings;
    minimal();
    (void)setenv("SMTP_URL", "smtp://mail:587?starttls=required", 1);
    (void)setenv("IDENTIHOOK_MAIL_FROM", "a@b", 1);
    (void)setenv("IDENTIHOOK_ONBOARDING_URL", "https://x/", 1);
    (void)setenv("IDENTIHOOK_ACTIONS_REQUIRES_INPUT", "onboarding, email", 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_uint_eq(settings.actions_verified.count, 2);
    ck_assert_int_eq(settings.actions_verified.items[0], ACTION_EMAIL);
    ck_assert_int_eq(settings.actions_requires_input.items[0], ACTION_ONBOARDING);
    ck_assert_int_eq(settings.smtp_starttls, STARTTLS_REQUIRED);
    ck_assert_str_eq(settings.smtp_url, "smtp://mail:587");
    ck_assert_str_eq(settings.onboarding_url, "https://x/");
    settings_free(&settings);
    (void)setenv("IDENTIHOOK_ACTIONS_VERIFIED", "", 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_uint_eq(settings.actions_verified.count, 0);
    settings_free(&settings);
}
END_TEST

START_TEST(what_is_written_upon_a_colour_can_be_read)
{
    static const char *const colors[][2] = {
        {"#000000", "#ffffff"}, {"#ffffff", "#000000"}, {"#2f54c8", "#ffffff"},
        {"#ffd400", "#000000"}, {"#FF0000", "#000000"}, {"#0000ff", "#ffffff"},
        {"#00ff00", "#000000"}, {"#767676", "#000000"}, {"#6f6f6f", "#ffffff"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(colors); i++) {
        ck_assert_msg(strcmp(color_upon(colors[i][0]), colors[i][1]) == 0, "on %s", colors[i][0]);
    }
}
END_TEST

START_TEST(a_login_in_clear_text_to_another_machine_must_be_asked_for)
{
    struct settings settings;
    minimal();
    (void)setenv("SMTP_USERNAME", "u", 1);
    (void)setenv("SMTP_PASSWORD", "p", 1);
    (void)setenv("IDENTIHOOK_MAIL_FROM", "a@b", 1);
    check_fault("SMTP_URL", "smtp://h?starttls=off", "login=cleartext");
    (void)setenv("SMTP_URL", "smtp://h:25?starttls=off&login=cleartext", 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert(settings.smtp_cleartext_login);
    ck_assert_int_eq(settings.smtp_starttls, STARTTLS_OFF);
    ck_assert_str_eq(settings.smtp_url, "smtp://h:25");
    settings_free(&settings);
    static const char *const others[] = {"smtp://h:25", "smtp://127.0.0.1.example.com", "smtp://10.0.0.1:25",
                                         "smtp://localhost.example.com"};
    static const char *const own[] = {"smtp://127.0.0.1:25", "smtp://localhost", "smtp://[::1]:25"};
    for (size_t i = 0; i < ARRAY_LENGTH(others) + ARRAY_LENGTH(own); i++) {
        bool is_own = i >= ARRAY_LENGTH(others);
        const char *url = is_own ? own[i - ARRAY_LENGTH(others)] : others[i];
        (void)setenv("SMTP_URL", url, 1);
        ck_assert_ptr_null(load(&settings, NULL));
        ck_assert_msg(settings.smtp_cleartext_login == is_own, "%s", url);
        settings_free(&settings);
    }
}
END_TEST

static const struct {
    const char *url;
    const char *allowed;
    enum address_reach reach;
} reaches[] = {
    {"https://onboarding.example.com/identity", NULL, REACH_PUBLIC},
    {"https://onboarding.example.com", "yes", REACH_PRIVATE},
    {"https://127.0.0.1.example.com/", NULL, REACH_PUBLIC},
    {"https://example.com/localhost", NULL, REACH_PUBLIC},
    {"http://127.0.0.1:8080/identity", NULL, REACH_ANY},
    {"http://[::1]:8080?x", "yes", REACH_ANY},
    {"http://127.0.0.1:8080/identity", "no", REACH_PUBLIC},
    {"http://localhost:8080", NULL, REACH_PRIVATE},
    {"http://onboarding:8080/", NULL, REACH_PRIVATE},
    {"http://onboarding.default.svc.cluster.local/", NULL, REACH_PRIVATE},
    {"http://onboarding:8080/", "no", REACH_PUBLIC},
};

START_TEST(the_url_itself_says_how_far_updates_may_go)
{
    struct settings settings;
    minimal();
    (void)setenv("IDENTIHOOK_ONBOARDING_URL", reaches[_i].url, 1);
    if (reaches[_i].allowed) {
        (void)setenv("IDENTIHOOK_ONBOARDING_ALLOW_PRIVATE", reaches[_i].allowed, 1);
    }
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_msg(settings.onboarding_reach == reaches[_i].reach, "%s", reaches[_i].url);
    settings_free(&settings);
}
END_TEST

START_TEST(every_setting_is_described)
{
    struct buffer text = {0};
    settings_describe_markdown(&text);
    ck_assert_ptr_nonnull(strstr(text.data, "| `IDENTIHOOK_LISTEN` | `0.0.0.0:4242` |"));
    ck_assert_ptr_nonnull(strstr(text.data, "| `STRIPE_WEBHOOK_SECRET` | required to ingest |"));
    buffer_free(&text);
}
END_TEST

START_TEST(the_readme_has_the_table_as_it_is)
{
    struct buffer text = {0};
    struct buffer readme = unit_data("../../README.md");
    settings_describe_markdown(&text);
    if (!strstr(readme.data, text.data)) {
        (void)fprintf(stderr, "put this between the settings marks of README.md:\n%s", text.data);
        ck_abort_msg("the README's table is another one");
    }
    buffer_free(&text);
    buffer_free(&readme);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, defaults_are_those_of_the_table);
    tcase_add_loop_test(tests, a_faulty_value_is_named_with_its_fault, 0, (int)ARRAY_LENGTH(faults));
    tcase_add_test(tests, a_fault_shows_an_example_and_never_a_secret);
    tcase_add_loop_test(tests, settings_of_sessions_that_clash_are_faulty, 0, (int)ARRAY_LENGTH(clashes));
    tcase_add_test(tests, sessions_need_a_key_where_requests_come_in);
    tcase_add_test(tests, what_is_missing_is_required_only_by_who_needs_it);
    tcase_add_test(tests, an_unknown_name_is_a_fault_with_the_nearest_known_one);
    tcase_add_test(tests, names_of_others_are_none_of_its_business);
    tcase_add_test(tests, all_faults_are_told_at_once);
    tcase_add_test(tests, several_secrets_may_carry_labels);
    tcase_add_loop_test(tests, a_good_value_is_taken, 0, (int)ARRAY_LENGTH(fine));
    tcase_add_test(tests, a_value_may_come_from_a_file);
    tcase_add_loop_test(tests, a_file_that_holds_more_than_the_secret_is_a_fault, 0, (int)ARRAY_LENGTH(value_files));
    tcase_add_test(tests, a_later_line_of_the_env_file_wins_and_quotes_are_dropped);
    tcase_add_test(tests, every_malformed_line_of_the_env_file_is_told_with_its_number);
    tcase_add_test(tests, another_kind_of_file_is_not_told_line_by_line);
    tcase_add_test(tests, the_environment_wins_over_the_env_file);
    tcase_add_test(tests, actions_default_to_those_whose_target_is_there);
    tcase_add_test(tests, what_is_written_upon_a_colour_can_be_read);
    tcase_add_test(tests, a_login_in_clear_text_to_another_machine_must_be_asked_for);
    tcase_add_loop_test(tests, the_url_itself_says_how_far_updates_may_go, 0, (int)ARRAY_LENGTH(reaches));
    tcase_add_test(tests, every_setting_is_described);
    tcase_add_test(tests, the_readme_has_the_table_as_it_is);
}

int main(void)
{
    return unit_run("settings", fill);
}
