#include "unit.h"

#include <unistd.h>

#include "base/settings.h"
#include "base/units.h"

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
    ck_assert_str_eq(settings.redis.host, "127.0.0.1");
    ck_assert_uint_eq(settings.redis.port, 6379);
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
    {"STRIPE_WEBHOOK_SECRET", "sk_live_1", "API key"},
    {"STRIPE_SECRET_KEY", "whsec_a", "signing secret"},
    {"STRIPE_SECRET_KEY", "pk_live_1", "publishable"},
    {"STRIPE_SECRET_KEY", "abc", "rk_ or sk_"},
    {"STRIPE_API_BASE", "ftp://x", "https://"},
    {"REDIS_URL", "http://x", "redis://"},
    {"REDIS_URL", "redis://:6379", "redis://"},
    {"REDIS_URL", "redis://h:99999", "redis://"},
    {"REDIS_URL", "redis://h/x", "redis://"},
    {"REDIS_URL", "unix://relative", "redis://"},
    {"IDENTIHOOK_NAMESPACE", "a{b}", "letters"},
    {"IDENTIHOOK_NAMESPACE", "", "letters"},
    {"IDENTIHOOK_LISTEN", "4242", "ADDRESS:PORT"},
    {"IDENTIHOOK_LISTEN", "localhost:4242", "numeric"},
    {"IDENTIHOOK_LISTEN", "0.0.0.0:70000", "ADDRESS:PORT"},
    {"IDENTIHOOK_WEBHOOK_PATH", "webhook", "'/'"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "0", "is 0"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "0s", "is 0"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "1500ms", "whole seconds"},
    {"IDENTIHOOK_SIGNATURE_TOLERANCE", "30d", "too large"},
    {"IDENTIHOOK_EVENTS", "verified,succeeded", "created"},
    {"IDENTIHOOK_LIVEMODE", "true", "any, live or test"},
    {"IDENTIHOOK_MAX_BODY", "1 MB", "size"},
    {"IDENTIHOOK_MAX_BODY", "1", "too small"},
    {"IDENTIHOOK_MAX_CONNECTIONS", "0", "too small"},
    {"IDENTIHOOK_MAX_CONNECTIONS", "-1", "whole number"},
    {"IDENTIHOOK_REQUEST_TIMEOUT", "10", "duration"},
    {"IDENTIHOOK_STRIPE_RATE", "20", "rate"},
    {"IDENTIHOOK_RETRY_BASE", "7h", "RETRY_CAP"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "email", "SMTP_URL"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "fax", "list of"},
    {"IDENTIHOOK_ACTIONS_VERIFIED", "postgres", "postgres"},
    {"IDENTIHOOK_VERIFIED_OUTPUTS", "shoe_size", "list of"},
    {"SMTP_URL", "mail.example.com", "smtp://"},
    {"SMTP_URL", "smtp://user:pass@h", "SMTP_USERNAME"},
    {"SMTP_URL", "smtp://h?starttls=maybe", "starttls"},
    {"SMTP_URL", "smtp://h", "IDENTIHOOK_MAIL_FROM"},
    {"SMTP_USERNAME", "u", "SMTP_PASSWORD"},
    {"IDENTIHOOK_TLS_CERT", "/x", "IDENTIHOOK_TLS_KEY"},
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
    struct settings settings;
    minimal();
    (void)setenv("STRIPE_SECRET_KEY", "hunter2-is-secret", 1);
    (void)setenv("REDIS_URL", "redis://:hunter2-is-secret@", 1);
    char *text = load(&settings, NULL);
    ck_assert_ptr_nonnull(strstr(text, "for example STRIPE_SECRET_KEY="));
    ck_assert_ptr_null(strstr(text, "hunter2"));
    free(text);
    settings_free(&settings);
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
    check_fault("IDENTIHOOK_MAX_BODDY", "1M", "did you mean IDENTIHOOK_MAX_BODY?");
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
    (void)setenv("STRIPE_WEBHOOK_SECRET", "old=whsec_a,whsec_b=c,new=whsec_d", 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_uint_eq(settings.webhook_secret_count, 3);
    ck_assert_str_eq(settings.webhook_secrets[0].label, "old");
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[0].value), "whsec_a");
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[1].value), "whsec_b=c");
    ck_assert_str_eq(settings.webhook_secrets[2].label, "new");
    settings_free(&settings);
}
END_TEST

static void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs(content, file);
    (void)fclose(file);
}

START_TEST(a_value_may_come_from_a_file)
{
    struct settings settings;
    char path[] = "/tmp/identihook-settings-XXXXXX";
    ck_assert_int_ge(mkstemp(path), 0);
    minimal();
    write_file(path, "whsec_from_file\n");
    (void)unsetenv("STRIPE_WEBHOOK_SECRET");
    (void)setenv("STRIPE_WEBHOOK_SECRET_FILE", path, 1);
    ck_assert_ptr_null(load(&settings, NULL));
    ck_assert_text_eq(secret_reveal(&settings.webhook_secrets[0].value), "whsec_from_file");
    settings_free(&settings);
    check_fault("STRIPE_WEBHOOK_SECRET", "whsec_both", "both set");
    (void)unsetenv("STRIPE_WEBHOOK_SECRET");
    (void)unlink(path);
    char *text = load(&settings, NULL);
    ck_assert_ptr_nonnull(strstr(text, "STRIPE_WEBHOOK_SECRET_FILE"));
    free(text);
    settings_free(&settings);
}
END_TEST

START_TEST(the_environment_wins_over_the_env_file)
{
    struct settings settings;
    char path[] = "/tmp/identihook-settings-XXXXXX";
    ck_assert_int_ge(mkstemp(path), 0);
    minimal();
    write_file(path, "# a comment\n\nexport IDENTIHOOK_NAMESPACE='from-file'\r\nIDENTIHOOK_WEBHOOK_PATH = \"/file\"\n");
    (void)setenv("IDENTIHOOK_NAMESPACE", "from-environment", 1);
    ck_assert_ptr_null(load(&settings, path));
    ck_assert_str_eq(settings.namespace, "from-environment");
    ck_assert_str_eq(settings.webhook_path, "/file");
    settings_free(&settings);
    write_file(path, "A=1\nnonsense\n");
    char *text = load(&settings, path);
    ck_assert_ptr_nonnull(strstr(text, "line 2"));
    free(text);
    settings_free(&settings);
    (void)unlink(path);
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
}
END_TEST

static const struct {
    const char *url;
    const char *host;
    unsigned port;
    const char *path;
    unsigned database;
    const char *username;
    const char *password;
} urls[] = {
    {"redis://h", "h", 6379, NULL, 0, NULL, NULL},
    {"redis://h:1/2", "h", 1, NULL, 2, NULL, NULL},
    {"redis://:p%40ss@h", "h", 6379, NULL, 0, NULL, "p@ss"},
    {"redis://u:p@[::1]:7/3", "::1", 7, NULL, 3, "u", "p"},
    {"unix:///tmp/r.sock?db=4", NULL, 0, "/tmp/r.sock", 4, NULL, NULL},
    {"unix:///tmp/r.sock", NULL, 0, "/tmp/r.sock", 0, NULL, NULL},
};

START_TEST(redis_urls_are_taken_apart)
{
    struct redis_url url;
    ck_assert_int_eq(redis_url_parse(text_of(urls[_i].url), &url), 0);
    ck_assert_pstr_eq(url.host, urls[_i].host);
    ck_assert_pstr_eq(url.path, urls[_i].path);
    ck_assert_pstr_eq(url.username, urls[_i].username);
    ck_assert_pstr_eq(url.password.data, urls[_i].password);
    ck_assert_uint_eq(url.database, urls[_i].database);
    if (url.host) {
        ck_assert_uint_eq(url.port, urls[_i].port);
    }
    redis_url_free(&url);
}
END_TEST

static const struct {
    const char *text;
    uint64_t value;
} durations[] = {{"0", 0}, {"250ms", 250}, {"30s", 30000}, {"5m", 300000}, {"6h", 21600000}, {"30d", 2592000000}};
static const char *const no_durations[] = {"", "5", "s", "-5s", "5 s", "5S", "1.5s", "99999999999999999999d"};

START_TEST(durations_are_written_with_a_unit_and_written_back_the_same)
{
    uint64_t value;
    struct buffer back = {0};
    ck_assert_int_eq(units_parse_duration(text_of(durations[_i].text), &value), 0);
    ck_assert_uint_eq(value, durations[_i].value);
    units_append_duration(&back, value);
    uint64_t again;
    ck_assert_int_eq(units_parse_duration(buffer_text(&back), &again), 0);
    ck_assert_uint_eq(again, value);
    buffer_free(&back);
}
END_TEST

START_TEST(what_is_no_duration_is_refused)
{
    uint64_t value;
    ck_assert_int_lt(units_parse_duration(text_of(no_durations[_i]), &value), 0);
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
    ck_assert_msg(strstr(readme.data, text.data) != NULL, "put this between the settings marks of README.md:\n%s", text.data);
    buffer_free(&text);
    buffer_free(&readme);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, defaults_are_those_of_the_table);
    tcase_add_loop_test(tests, a_faulty_value_is_named_with_its_fault, 0, (int)ARRAY_LENGTH(faults));
    tcase_add_test(tests, a_fault_shows_an_example_and_never_a_secret);
    tcase_add_test(tests, what_is_missing_is_required_only_by_who_needs_it);
    tcase_add_test(tests, an_unknown_name_is_a_fault_with_the_nearest_known_one);
    tcase_add_test(tests, all_faults_are_told_at_once);
    tcase_add_test(tests, several_secrets_may_carry_labels);
    tcase_add_test(tests, a_value_may_come_from_a_file);
    tcase_add_test(tests, the_environment_wins_over_the_env_file);
    tcase_add_test(tests, actions_default_to_those_whose_target_is_there);
    tcase_add_loop_test(tests, redis_urls_are_taken_apart, 0, (int)ARRAY_LENGTH(urls));
    tcase_add_loop_test(tests, durations_are_written_with_a_unit_and_written_back_the_same, 0,
                        (int)ARRAY_LENGTH(durations));
    tcase_add_loop_test(tests, what_is_no_duration_is_refused, 0, (int)ARRAY_LENGTH(no_durations));
    tcase_add_test(tests, every_setting_is_described);
    tcase_add_test(tests, the_readme_has_the_table_as_it_is);
}

int main(void)
{
    return unit_run("settings", fill);
}
