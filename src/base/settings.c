#include "base/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/setting.h"
#include "base/units.h"

#define DAY_MS UINT64_C(86400000)
#define HOUR_MS UINT64_C(3600000)
#define FIELD(member) offsetof(struct settings, member)

/* The one table. */
/* clang-format off */
static const struct setting table[] = {
    {.name = "STRIPE_WEBHOOK_SECRET", .read = setting_webhook_secrets, .secret = true, .need = SETTINGS_FOR_INGEST,
     .example = "whsec_5WbX5kEW",
     .help = "signing secret of the webhook endpoint; several separated by commas while rotating, each with an "
             "optional label: old=whsec_…,new=whsec_…"},
    {.name = "STRIPE_SECRET_KEY", .read = setting_stripe_key, .secret = true, .need = SETTINGS_FOR_WORK,
     .example = "rk_live_51Abc",
     .help = "API key that may read verification sessions; a restricted one (rk_…) is best"},
    {.name = "STRIPE_API_BASE", .read = setting_http_url, .offset = FIELD(stripe_api_base),
     .fallback = "https://api.stripe.com", .example = "https://api.stripe.com",
     .help = "where Stripe's API is, for tests and proxies"},
    {.name = "STRIPE_API_VERSION", .read = setting_word, .offset = FIELD(stripe_api_version),
     .fallback = "2026-10-28.endive", .example = "2026-10-28.endive",
     .help = "the Stripe-Version header"},
    {.name = "IDENTIHOOK_STRIPE_TIMEOUT", .read = setting_duration, .offset = FIELD(stripe_timeout_ms),
     .fallback = "30s", .least = 100, .most = HOUR_MS, .example = "30s",
     .help = "how long one read of a session may take"},
    {.name = "IDENTIHOOK_STRIPE_RATE", .read = setting_rate, .offset = FIELD(stripe_rate), .fallback = "20/s",
     .least = 1, .most = UINT64_C(60) * 100000, .example = "20/s",
     .help = "reads of Stripe's API by all workers together, live and test mode counted apart; Stripe allows "
             "25/s"},
    {.name = "REDIS_URL", .read = setting_redis, .secret = true, .fallback = "redis://127.0.0.1:6379/0",
     .example = "redis://127.0.0.1:6379/0",
     .help = "redis://[user:password@]host:port/db, rediss:// for TLS, or unix:///path?db=0"},
    {.name = "IDENTIHOOK_NAMESPACE", .read = setting_namespace, .offset = FIELD(namespace), .fallback = "identihook",
     .example = "identihook",
     .help = "first part of every Redis key: {identihook}:events"},
    {.name = "IDENTIHOOK_LISTEN", .read = setting_endpoint, .offset = FIELD(listen), .fallback = "0.0.0.0:4242",
     .example = "0.0.0.0:4242",
     .help = "address and port of the webhook listener; port 0 takes a free one"},
    {.name = "IDENTIHOOK_WEBHOOK_PATH", .read = setting_path, .offset = FIELD(webhook_path), .fallback = "/webhook",
     .example = "/webhook",
     .help = "the path that Stripe posts to"},
    {.name = "IDENTIHOOK_ADMIN_LISTEN", .read = setting_endpoint, .offset = FIELD(admin_listen),
     .fallback = "127.0.0.1:9464", .example = "127.0.0.1:9464",
     .help = "health and metrics; keep it private"},
    {.name = "IDENTIHOOK_TLS_CERT", .read = setting_text, .offset = FIELD(tls_certificate),
     .example = "/etc/identihook/tls.crt",
     .help = "certificate chain (PEM file) of the webhook listener: turns TLS on; reloaded on SIGHUP"},
    {.name = "IDENTIHOOK_TLS_KEY", .read = setting_text, .offset = FIELD(tls_key),
     .example = "/etc/identihook/tls.key",
     .help = "private key (PEM file) of that certificate"},
    {.name = "IDENTIHOOK_TLS_CLIENT_CA", .read = setting_text, .offset = FIELD(tls_client_ca),
     .example = "/etc/identihook/ca.crt",
     .help = "when set, clients must show a certificate that this authority (PEM file) signed"},
    {.name = "IDENTIHOOK_LOOPS", .read = setting_count, .offset = FIELD(loops), .fallback = "0", .most = 256,
     .example = "2",
     .help = "event loops, each with its own listener and Redis connections; 0 is one per CPU"},
    {.name = "IDENTIHOOK_SIGNATURE_TOLERANCE", .read = setting_tolerance, .offset = FIELD(signature_tolerance_ms),
     .fallback = "300s", .least = 1000, .most = 7 * DAY_MS, .example = "300s",
     .help = "how far a signature's time may be from ours, in both directions"},
    {.name = "IDENTIHOOK_EVENTS", .read = setting_events, .offset = FIELD(events),
     .fallback = "verified,requires_input", .example = "verified,requires_input",
     .help = "which identity.verification_session.* events are queued: created, processing, verified, "
             "requires_input, canceled, redacted; the rest is answered 200 and counted"},
    {.name = "IDENTIHOOK_LIVEMODE", .read = setting_livemode, .offset = FIELD(livemode), .fallback = "any",
     .example = "live",
     .help = "live or test: events of the other mode are answered 200 and not queued; any takes both"},
    {.name = "IDENTIHOOK_MAX_BODY", .read = setting_size, .offset = FIELD(max_body), .fallback = "1M", .least = 1024,
     .most = 64u << 20, .example = "1M",
     .help = "largest request body; beyond it 413"},
    {.name = "IDENTIHOOK_MAX_HEADER_BYTES", .read = setting_size, .offset = FIELD(max_header_bytes),
     .fallback = "16k", .least = 1024, .most = 64u << 10, .example = "16k",
     .help = "request line and headers together; beyond it 431"},
    {.name = "IDENTIHOOK_MAX_HEADERS", .read = setting_count, .offset = FIELD(max_headers), .fallback = "100",
     .least = 10, .most = 1000, .example = "100",
     .help = "number of request headers; beyond it 431"},
    {.name = "IDENTIHOOK_MAX_URL", .read = setting_size, .offset = FIELD(max_url), .fallback = "4k", .least = 64,
     .most = 32u << 10, .example = "4k",
     .help = "length of the request target; beyond it 414"},
    {.name = "IDENTIHOOK_MAX_CONNECTIONS", .read = setting_count, .offset = FIELD(max_connections),
     .fallback = "10000", .least = 1, .most = 1000000, .example = "10000",
     .help = "open connections; more wait in the kernel's queue"},
    {.name = "IDENTIHOOK_MAX_CONNECTIONS_PER_ADDRESS", .read = setting_count,
     .offset = FIELD(max_connections_per_address), .fallback = "0", .most = 1000000, .example = "100",
     .help = "open connections from one address; 0 is no limit (right behind a proxy)"},
    {.name = "IDENTIHOOK_MAX_REQUESTS_PER_CONNECTION", .read = setting_count,
     .offset = FIELD(max_requests_per_connection), .fallback = "0", .most = UINT32_MAX, .example = "10000",
     .help = "requests before a connection is closed; 0 is no limit"},
    {.name = "IDENTIHOOK_MAX_PIPELINED", .read = setting_size, .offset = FIELD(max_pipelined), .fallback = "64k",
     .least = 1024, .most = 16u << 20, .example = "64k",
     .help = "bytes a client may send ahead of the answer it waits for"},
    {.name = "IDENTIHOOK_MAX_IN_FLIGHT", .read = setting_count, .offset = FIELD(max_in_flight), .fallback = "10000",
     .least = 1, .most = 10000000, .example = "10000",
     .help = "events that wait for Redis at once; beyond it 503"},
    {.name = "IDENTIHOOK_MAX_IN_FLIGHT_BYTES", .read = setting_size, .offset = FIELD(max_in_flight_bytes),
     .fallback = "64M", .least = 1u << 20, .most = UINT64_C(16) << 30, .example = "64M",
     .help = "bytes that wait for Redis at once; beyond it 503"},
    {.name = "IDENTIHOOK_HEADER_TIMEOUT", .read = setting_duration, .offset = FIELD(header_timeout_ms),
     .fallback = "10s", .least = 50, .most = HOUR_MS, .example = "10s",
     .help = "from a request's first byte to the end of its headers; beyond it 408"},
    {.name = "IDENTIHOOK_REQUEST_TIMEOUT", .read = setting_duration, .offset = FIELD(request_timeout_ms),
     .fallback = "10s", .least = 50, .most = HOUR_MS, .example = "10s",
     .help = "from a request's first byte to the end of its body; beyond it 408"},
    {.name = "IDENTIHOOK_IDLE_TIMEOUT", .read = setting_duration, .offset = FIELD(idle_timeout_ms),
     .fallback = "60s", .least = 50, .most = DAY_MS, .example = "60s",
     .help = "how long a connection may stay open between requests"},
    {.name = "IDENTIHOOK_ENQUEUE_TIMEOUT", .read = setting_duration, .offset = FIELD(enqueue_timeout_ms),
     .fallback = "5s", .least = 10, .most = HOUR_MS, .example = "5s",
     .help = "how long Redis may take to confirm an event; beyond it 503"},
    {.name = "IDENTIHOOK_DRAIN_DELAY", .read = setting_duration, .offset = FIELD(drain_delay_ms), .fallback = "0",
     .most = HOUR_MS, .example = "5s",
     .help = "on SIGTERM: how long requests are still taken after readiness went red"},
    {.name = "IDENTIHOOK_SHUTDOWN_TIMEOUT", .read = setting_duration, .offset = FIELD(shutdown_timeout_ms),
     .fallback = "15s", .least = 100, .most = HOUR_MS, .example = "15s",
     .help = "on SIGTERM: how long work under way may take to end"},
    {.name = "IDENTIHOOK_DEDUPE_WINDOW", .read = setting_duration, .offset = FIELD(dedupe_window_ms),
     .fallback = "30d", .least = 60000, .most = 3660 * DAY_MS, .example = "30d",
     .help = "how long an event id is remembered; Stripe resends for up to 30 days"},
    {.name = "IDENTIHOOK_CONCURRENCY", .read = setting_count, .offset = FIELD(concurrency), .fallback = "64",
     .least = 1, .most = 10000, .example = "64",
     .help = "events in process at once in this process"},
    {.name = "IDENTIHOOK_MAX_ATTEMPTS", .read = setting_count, .offset = FIELD(max_attempts), .fallback = "16",
     .least = 1, .most = 1000, .example = "16",
     .help = "tries before an event goes to the dead letters"},
    {.name = "IDENTIHOOK_RETRY_BASE", .read = setting_duration, .offset = FIELD(retry_base_ms), .fallback = "2s",
     .least = 1, .most = DAY_MS, .example = "2s",
     .help = "backoff doubles from here, each wait drawn at random below it (full jitter)"},
    {.name = "IDENTIHOOK_RETRY_CAP", .read = setting_duration, .offset = FIELD(retry_cap_ms), .fallback = "6h",
     .least = 1, .most = 30 * DAY_MS, .example = "6h",
     .help = "longest wait between two tries"},
    {.name = "IDENTIHOOK_CLAIM_AFTER", .read = setting_duration, .offset = FIELD(claim_after_ms), .fallback = "30s",
     .least = 200, .most = DAY_MS, .example = "30s",
     .help = "an event whose worker gave no sign of life for this long is taken over"},
    {.name = "IDENTIHOOK_ACTIONS_VERIFIED", .read = setting_actions, .offset = FIELD(actions_verified),
     .example = "email,onboarding",
     .help = "what a verified session sets off, in order: email, onboarding; by default those whose target is "
             "configured"},
    {.name = "IDENTIHOOK_ACTIONS_REQUIRES_INPUT", .read = setting_actions, .offset = FIELD(actions_requires_input),
     .example = "email,onboarding",
     .help = "the same for a session whose checks failed"},
    {.name = "IDENTIHOOK_VERIFIED_OUTPUTS", .read = setting_outputs, .offset = FIELD(verified_outputs),
     .example = "first_name,last_name",
     .help = "verified fields that are fetched and passed on: first_name, last_name, dob, address, id_number, "
             "id_number_type, email, phone, sex; none by default. dob, id_number and sex need a restricted key"},
    {.name = "SMTP_URL", .read = setting_smtp, .example = "smtp://mail.example.com:587",
     .help = "smtp://host:587 (STARTTLS when offered; ?starttls=required insists and verifies, ?starttls=off "
             "never), or smtps://host"},
    {.name = "SMTP_USERNAME", .read = setting_text, .offset = FIELD(smtp_username), .example = "mailer",
     .help = "SMTP login"},
    {.name = "SMTP_PASSWORD", .read = setting_secret, .offset = FIELD(smtp_password), .secret = true,
     .example = "secret",
     .help = "SMTP password"},
    {.name = "IDENTIHOOK_SMTP_TIMEOUT", .read = setting_duration, .offset = FIELD(smtp_timeout_ms),
     .fallback = "30s", .least = 100, .most = HOUR_MS, .example = "30s",
     .help = "how long one mail may take"},
    {.name = "IDENTIHOOK_MAIL_FROM", .read = setting_mail_from, .offset = FIELD(mail_from),
     .example = "Example <identity@example.com>",
     .help = "sender of the mails; required with SMTP_URL"},
    {.name = "IDENTIHOOK_RETRY_PAGE", .read = setting_http_url, .offset = FIELD(retry_page),
     .example = "https://example.com/verify",
     .help = "your own page where a person tries again; mails link to it, never to Stripe"},
    {.name = "IDENTIHOOK_ONBOARDING_URL", .read = setting_http_url, .offset = FIELD(onboarding_url),
     .example = "https://onboarding.example.com/identity",
     .help = "where the onboarding update is posted"},
    {.name = "IDENTIHOOK_ONBOARDING_SECRET", .read = setting_secret, .offset = FIELD(onboarding_secret),
     .secret = true, .example = "whsec_MfKQ9r8G",
     .help = "signs the update (Standard Webhooks): whsec_ and base64"},
    {.name = "IDENTIHOOK_ONBOARDING_TIMEOUT", .read = setting_duration, .offset = FIELD(onboarding_timeout_ms),
     .fallback = "10s", .least = 100, .most = HOUR_MS, .example = "10s",
     .help = "how long one update may take"},
    {.name = "SSL_CERT_FILE", .read = setting_text, .offset = FIELD(ca_file),
     .example = "/etc/ssl/certs/ca-certificates.crt",
     .help = "authorities (PEM file) to trust in outgoing TLS instead of the system's"},
    {.name = "IDENTIHOOK_LOG_FORMAT", .read = setting_log_format, .offset = FIELD(log_format), .fallback = "auto",
     .example = "json",
     .help = "text or json; auto is text on a terminal, else json"},
    {.name = "IDENTIHOOK_LOG_LEVEL", .read = setting_log_level, .offset = FIELD(log_level), .fallback = "info", .example = "info",
     .help = "debug, info, warn or error"},
};
/* clang-format on */

const char *const action_names[ACTIONS] = {[ACTION_EMAIL] = "email", [ACTION_ONBOARDING] = "onboarding"};

static void add_fault(struct buffer *faults, const struct setting *setting, const char *fault)
{
    buffer_append_format(faults, "%s %s; for example %s=%s\n", setting->name, fault, setting->name, setting->example);
}

/* ---- reading one setting: X, or the content of the file that X_FILE names */

static int read_value_file(const struct setting *setting, const char *path, struct buffer *value, struct buffer *faults)
{
    int status = environment_read_file(path, value);
    if (status == -ENOMEM) {
        return status;
    }
    if (status < 0) {
        buffer_append_format(faults, "%s_FILE names a file that cannot be read: %s\n", setting->name,
                             strerror(-status));
        return SETTINGS_FAULTY;
    }
    if (value->length > 0 && value->data[value->length - 1] == '\n') {
        value->data[--value->length] = '\0';
    }
    return 0;
}

static int read_setting(struct settings *settings, const struct environment *environment, const struct setting *setting,
                        struct buffer *faults)
{
    char file_name[80];
    (void)snprintf(file_name, sizeof(file_name), "%s_FILE", setting->name);
    const char *direct = environment_value(environment, setting->name);
    const char *path = environment_value(environment, file_name);
    if (direct && path) {
        buffer_append_format(faults, "%s and %s are both set: keep one of them\n", setting->name, file_name);
        return SETTINGS_FAULTY;
    }
    struct buffer content = {0};
    int status = path ? read_value_file(setting, path, &content, faults) : 0;
    const char *value = path ? (content.data ? content.data : "") : direct ? direct : setting->fallback;
    if (status == 0 && value) {
        const char *fault = NULL;
        status = setting->read(setting, settings, text_of(value), &fault);
        if (fault) {
            add_fault(faults, setting, fault);
            status = SETTINGS_FAULTY;
        }
    }
    buffer_wipe(&content);
    return status;
}

/* ---- names that are not ours */

static size_t distance(struct text a, const char *b)
{
    size_t width = strlen(b);
    size_t row[128];
    if (width >= ARRAY_LENGTH(row)) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t change = diagonal + (a.data[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            row[j] = change < shorter + 1 ? change : shorter + 1;
        }
    }
    return row[width];
}

struct name_check {
    struct buffer *faults;
    bool faulty;
};

static bool is_known(struct text name)
{
    struct text file = TEXT("_FILE");
    if (name.length > file.length &&
        text_equal(file, (struct text){name.data + name.length - file.length, file.length})) {
        name.length -= file.length;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (text_equal(name, text_of(table[i].name))) {
            return true;
        }
    }
    return false;
}

static void check_name(void *context, struct text name)
{
    struct name_check *check = context;
    if (!text_starts_with(name, TEXT("IDENTIHOOK_")) || is_known(name)) {
        return;
    }
    const char *nearest = NULL;
    size_t least = 4;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        size_t steps = distance(name, table[i].name);
        if (steps < least) {
            least = steps;
            nearest = table[i].name;
        }
    }
    check->faulty = true;
    buffer_append_format(check->faults, "%.*s is not a setting of identihook", TEXT_ARGUMENTS(name));
    buffer_append_format(check->faults,
                         nearest ? "; did you mean %s?\n" : "; 'identihook serve --help' lists them all\n", nearest);
}

/* ---- settings that depend on each other */

static void require(bool there, struct buffer *faults, bool *faulty, const char *fault)
{
    if (!there) {
        buffer_append_format(faults, "%s\n", fault);
        *faulty = true;
    }
}

static bool action_is_possible(const struct settings *settings, enum action action)
{
    return action == ACTION_EMAIL ? settings->smtp_url != NULL : settings->onboarding_url != NULL;
}

static void resolve_actions(const struct settings *settings, struct action_list *list, const char *name,
                            struct buffer *faults, bool *faulty)
{
    if (!list->given) {
        for (enum action action = 0; action < ACTIONS; action++) {
            if (action_is_possible(settings, action)) {
                list->items[list->count++] = action;
            }
        }
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!action_is_possible(settings, list->items[i])) {
            buffer_append_format(faults, "%s names %s, which needs %s\n", name, action_names[list->items[i]],
                                 list->items[i] == ACTION_EMAIL ? "SMTP_URL" : "IDENTIHOOK_ONBOARDING_URL");
            *faulty = true;
        }
    }
}

static bool resolve(struct settings *settings, struct buffer *faults)
{
    bool faulty = false;
    require(!settings->smtp_url || settings->mail_from, faults, &faulty,
            "SMTP_URL is set, but not IDENTIHOOK_MAIL_FROM; for example IDENTIHOOK_MAIL_FROM=identity@example.com");
    require((settings->smtp_username != NULL) == secret_is_set(&settings->smtp_password), faults, &faulty,
            "SMTP_USERNAME and SMTP_PASSWORD belong together: set both or none");
    require((settings->tls_certificate != NULL) == (settings->tls_key != NULL), faults, &faulty,
            "IDENTIHOOK_TLS_CERT and IDENTIHOOK_TLS_KEY belong together: set both or none");
    require(!settings->tls_client_ca || settings->tls_certificate, faults, &faulty,
            "IDENTIHOOK_TLS_CLIENT_CA needs IDENTIHOOK_TLS_CERT and IDENTIHOOK_TLS_KEY");
    require(settings->retry_base_ms <= settings->retry_cap_ms, faults, &faulty,
            "IDENTIHOOK_RETRY_BASE is longer than IDENTIHOOK_RETRY_CAP; for example IDENTIHOOK_RETRY_BASE=2s");
    resolve_actions(settings, &settings->actions_verified, "IDENTIHOOK_ACTIONS_VERIFIED", faults, &faulty);
    resolve_actions(settings, &settings->actions_requires_input, "IDENTIHOOK_ACTIONS_REQUIRES_INPUT", faults, &faulty);
    if (settings->loops == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        settings->loops = processors > 0 ? (uint64_t)processors : 1;
    }
    return faulty;
}

static bool is_missing(const struct settings *settings, const struct setting *setting)
{
    return setting->need == SETTINGS_FOR_INGEST ? settings->webhook_secret_count == 0
                                                : !secret_is_set(&settings->stripe_key);
}

/* ---- loading */

static int open_environment(const char *env_file, struct environment **environment, struct buffer *faults)
{
    unsigned line = 0;
    int status = environment_open(env_file, environment, &line);
    if (status == ENVIRONMENT_MALFORMED) {
        buffer_append_format(faults, "%s line %u is not NAME=VALUE; for example IDENTIHOOK_LISTEN=0.0.0.0:4242\n",
                             env_file, line);
    } else if (status < 0 && status != -ENOMEM) {
        buffer_append_format(faults, "%s cannot be read: %s; give --env-file a readable file\n", env_file,
                             strerror(-status));
        status = SETTINGS_FAULTY;
    }
    return status;
}

static int read_table(struct settings *settings, unsigned needs, const struct environment *environment,
                      struct buffer *faults)
{
    bool faulty = false;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        int status = read_setting(settings, environment, &table[i], faults);
        if (status < 0) {
            return status;
        }
        faulty = faulty || status != 0;
        if (status == 0 && (table[i].need & needs) && is_missing(settings, &table[i])) {
            add_fault(faults, &table[i], "is required");
            faulty = true;
        }
    }
    struct name_check check = {.faults = faults};
    environment_each_name(environment, check_name, &check);
    /* Faults of single settings first: what depends on them would only repeat them in other words. */
    if (!faulty) {
        faulty = resolve(settings, faults);
    }
    return faulty || check.faulty ? SETTINGS_FAULTY : 0;
}

int settings_load(struct settings *settings, unsigned needs, const char *env_file, struct buffer *faults)
{
    *settings = (struct settings){0};
    struct environment *environment = NULL;
    int status = open_environment(env_file, &environment, faults);
    if (status == 0) {
        status = read_table(settings, needs, environment, faults);
    }
    environment_close(environment);
    return status;
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->webhook_secret_count; i++) {
        secret_clear(&settings->webhook_secrets[i].value);
    }
    secret_clear(&settings->stripe_key);
    secret_clear(&settings->smtp_password);
    secret_clear(&settings->onboarding_secret);
    redis_url_free(&settings->redis);
    char *strings[] = {
        settings->stripe_api_base, settings->stripe_api_version, settings->namespace,
        settings->webhook_path,    settings->tls_certificate,    settings->tls_key,
        settings->tls_client_ca,   settings->smtp_url,           settings->smtp_username,
        settings->mail_from,       settings->retry_page,         settings->onboarding_url,
        settings->ca_file,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        free(strings[i]);
    }
    *settings = (struct settings){0};
}

/* ---- describing */

static const char *default_text(const struct setting *setting)
{
    return setting->need == SETTINGS_FOR_INGEST ? "required to ingest"
           : setting->need == SETTINGS_FOR_WORK ? "required to work"
           : setting->fallback                  ? setting->fallback
                                                : "none";
}

void settings_describe(struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        buffer_append_format(out, "  %s (%s)\n      %s\n", table[i].name, default_text(&table[i]), table[i].help);
    }
}

void settings_describe_markdown(struct buffer *out)
{
    buffer_append_string(out, "| variable | default | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *quote = table[i].fallback ? "`" : "";
        buffer_append_format(out, "| `%s` | %s%s%s | %s |\n", table[i].name, quote, default_text(&table[i]), quote,
                             table[i].help);
    }
}
