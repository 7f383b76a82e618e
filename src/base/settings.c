#include "base/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/authority.h"
#include "base/environment.h"
#include "base/mail_address.h"
#include "base/settings_table.h"

#define STEPS_MAXIMUM 3 /* a typing error; what is further away is another name */

const char *const action_names[ACTIONS] = {[ACTION_EMAIL] = "email",
                                           [ACTION_ONBOARDING] = "onboarding",
                                           [ACTION_POSTGRES] = "postgres",
                                           [ACTION_ERASE] = "erase"};

static void add_fault(struct buffer *faults, const struct setting *setting, const char *fault)
{
    buffer_append_format(faults, "%s %s; ", setting->name, fault);
    size_t length = faults->length;
    setting_append_range(setting, faults);
    buffer_append_format(faults, "%sfor example %s=%s\n", faults->length > length ? ", " : "", setting->name,
                         setting->example);
}

/* ---- reading one setting: X, or the content of the file that X_FILE names */

static int read_value_file(const struct setting *setting, const char *path, struct buffer *value, struct buffer *faults)
{
    int status = environment_read_file(path, value);
    if (status == -ENOMEM) {
        return status;
    }
    const char *fault = status < 0 ? strerror(-status) : NULL;
    if (!fault && value->length > 0 && memchr(value->data, '\0', value->length)) {
        fault = "it has a NUL byte in it; save it as UTF-8";
    }
    if (fault) {
        buffer_append_format(faults,
                             "%s_FILE names a file that cannot be read: %s; for example %s_FILE=/run/secrets/%s\n",
                             setting->name, fault, setting->name, setting->name);
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
        buffer_append_format(faults, "%s and %s are both set: keep one of them; for example %s=/run/secrets/%s\n",
                             setting->name, file_name, file_name, setting->name);
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

/* How many letters must change, come or go; SIZE_MAX when it is more than STEPS_MAXIMUM by the lengths alone. */
static size_t distance(struct text a, const char *b)
{
    size_t width = strlen(b);
    size_t row[128];
    if (width >= ARRAY_LENGTH(row) || a.length > width + STEPS_MAXIMUM || width > a.length + STEPS_MAXIMUM) {
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
    for (size_t i = 0; i < settings_table_length; i++) {
        if (text_equal(name, text_of(settings_table[i].name))) {
            return true;
        }
    }
    return false;
}

/* The setting whose name is the fewest steps away; NULL when none is near. */
static const char *nearest(struct text name)
{
    const char *found = NULL;
    size_t least = STEPS_MAXIMUM + 1;
    for (size_t i = 0; i < settings_table_length; i++) {
        size_t steps = distance(name, settings_table[i].name);
        if (steps < least) {
            least = steps;
            found = settings_table[i].name;
        }
    }
    return found;
}

static void check_name(void *context, struct text name)
{
    struct name_check *check = context;
    struct text suffix = TEXT("_FILE");
    struct text stem = name;
    bool names_file = name.length > suffix.length &&
                      text_equal(suffix, (struct text){name.data + name.length - suffix.length, suffix.length});
    stem.length -= names_file ? suffix.length : 0;
    if (!text_starts_with(name, TEXT("IDENTIHOOK_")) || is_known(stem)) {
        return;
    }
    check->faulty = true;
    buffer_append_format(check->faults, "%.*s is not a setting of identihook", TEXT_ARGUMENTS(name));
    const char *meant = nearest(stem);
    if (meant) {
        buffer_append_format(check->faults, "; did you mean %s%s?\n", meant, names_file ? "_FILE" : "");
    } else {
        buffer_append_string(check->faults, "; 'identihook serve --help' lists them all\n");
    }
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
    const bool possible[ACTIONS] = {
        [ACTION_EMAIL] = settings->smtp_url != NULL,
        [ACTION_ONBOARDING] = settings->onboarding_url != NULL,
        [ACTION_POSTGRES] = secret_is_set(&settings->database_url),
    };
    return possible[action];
}

static void resolve_actions(const struct settings *settings, struct action_list *list, const char *name,
                            struct buffer *faults, bool *faulty)
{
    static const char *const targets[ACTIONS] = {[ACTION_EMAIL] = "SMTP_URL",
                                                 [ACTION_ONBOARDING] = "IDENTIHOOK_ONBOARDING_URL",
                                                 [ACTION_POSTGRES] = "DATABASE_URL"};
    if (!list->given) {
        for (enum action action = 0; action < ACTION_ERASE; action++) {
            if (action_is_possible(settings, action)) {
                list->items[list->count++] = action;
            }
        }
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!action_is_possible(settings, list->items[i])) {
            buffer_append_format(faults, "%s names %s, which needs %s\n", name, action_names[list->items[i]],
                                 targets[list->items[i]]);
            *faulty = true;
        }
    }
}

/* pk_live_…, sk_live_…, rk_live_… */
static bool is_live_key(struct text key)
{
    (void)text_cut(&key, '_');
    return text_starts_with(key, TEXT("live_"));
}

/* `ingests`: it is to be able to answer requests. */
static void resolve_sessions(const struct settings *settings, bool ingests, struct buffer *faults, bool *faulty)
{
    const struct session_settings *sessions = &settings->sessions;
    bool documents = sessions->document_options != 0 || sessions->document_types != 0;
    require(!ingests || sessions->token_secret_count == 0 || secret_is_set(&settings->stripe_key), faults, faulty,
            "IDENTIHOOK_SESSION_TOKEN_SECRET is set, but not STRIPE_SECRET_KEY, which sessions are created with; for "
            "example STRIPE_SECRET_KEY=rk_live_51Abc");
    require(
        !sessions->publishable_key || !secret_is_set(&settings->stripe_key) ||
            is_live_key(text_of(sessions->publishable_key)) == is_live_key(secret_reveal(&settings->stripe_key)),
        faults, faulty,
        "STRIPE_PUBLISHABLE_KEY and STRIPE_SECRET_KEY are of different modes, one live and one test: take both from "
        "the same page of the Dashboard");
    require(!sessions->type || !sessions->flow, faults, faulty,
            "IDENTIHOOK_SESSION_TYPE and IDENTIHOOK_SESSION_FLOW exclude each other: set one of them");
    require(!documents || !sessions->flow, faults, faulty,
            "IDENTIHOOK_SESSION_DOCUMENT_OPTIONS and _TYPES are not for a flow, which has its own: take them out, or "
            "IDENTIHOOK_SESSION_FLOW");
}

/* The host of a URL that its setting's reader has found fit. */
static struct text host_of(struct text url)
{
    struct authority authority = {0};
    (void)text_cut(&url, '/');
    (void)text_cut(&url, '/');
    url.length = strcspn(url.data, "/?#");
    return authority_parse(url, 1, &authority) == 0 ? authority.host : (struct text){0};
}

static enum address_reach reach_of(struct text url, enum private_addresses allowed)
{
    struct text host = url.data ? host_of(url) : url;
    if (allowed == PRIVATE_REFUSED) {
        return REACH_PUBLIC;
    }
    if (host_is_address(host)) {
        return REACH_ANY;
    }
    return allowed == PRIVATE_ALLOWED || host_is_internal(host) ? REACH_PRIVATE : REACH_PUBLIC;
}

/* Its address has no letter beyond ASCII in front of the '@'. */
static bool has_ascii_name(const char *mailbox)
{
    struct text address = {0};
    bool ascii = mail_address_find(text_of(mailbox), &address) == 0;
    struct text name = text_cut(&address, '@');
    for (size_t i = 0; i < name.length; i++) {
        ascii = ascii && (unsigned char)name.data[i] < 0x80;
    }
    return ascii;
}

static bool resolve(struct settings *settings, unsigned needs, struct buffer *faults)
{
    bool faulty = false;
    if (settings->redis.tls && !settings->redis.ca && settings->ca_file) {
        settings->redis.ca = text_copy(text_of(settings->ca_file)); /* out of memory: the system's */
    }
    require(!settings->smtp_url || settings->mail_from, faults, &faulty,
            "SMTP_URL is set, but not IDENTIHOOK_MAIL_FROM; for example IDENTIHOOK_MAIL_FROM=identity@example.com");
    require((settings->smtp_username != NULL) == secret_is_set(&settings->smtp_password), faults, &faulty,
            "SMTP_USERNAME and SMTP_PASSWORD belong together: set both or none");
    require(
        !settings->smtp_username || settings->smtp_starttls != STARTTLS_OFF || settings->smtp_cleartext_login, faults,
        &faulty,
        "SMTP_URL has starttls=off, so that the login would go in clear text to another machine; if that is wanted, "
        "say so: SMTP_URL=smtp://mail:25?starttls=off&login=cleartext");
    require((settings->tls_certificate != NULL) == (settings->tls_key != NULL), faults, &faulty,
            "IDENTIHOOK_TLS_CERT and IDENTIHOOK_TLS_KEY belong together: set both or none");
    require((settings->redis.certificate != NULL) == (settings->redis.key != NULL), faults, &faulty,
            "IDENTIHOOK_REDIS_CERT and IDENTIHOOK_REDIS_KEY belong together: set both or none");
    require(settings->redis.tls ||
                (!settings->redis.ca && !settings->redis.certificate && !settings->redis.server_name),
            faults, &faulty,
            "IDENTIHOOK_REDIS_CA, _CERT and _SERVER_NAME are for TLS: REDIS_URL must begin with rediss, for example "
            "rediss://redis.example.com:6379");
    require(!settings->tls_client_ca || settings->tls_certificate, faults, &faulty,
            "IDENTIHOOK_TLS_CLIENT_CA needs IDENTIHOOK_TLS_CERT and IDENTIHOOK_TLS_KEY");
    require(!settings->mail_reply_to || has_ascii_name(settings->mail_reply_to), faults, &faulty,
            "IDENTIHOOK_MAIL_REPLY_TO has letters beyond ASCII in front of its '@', which few mail servers take; for "
            "example IDENTIHOOK_MAIL_REPLY_TO=help@example.com");
    require(settings->retry_base_ms <= settings->retry_cap_ms, faults, &faulty,
            "IDENTIHOOK_RETRY_BASE is longer than IDENTIHOOK_RETRY_CAP; for example IDENTIHOOK_RETRY_BASE=2s");
    resolve_sessions(settings, needs & SETTINGS_FOR_INGEST, faults, &faulty);
    require((settings->onboarding_certificate != NULL) == (settings->onboarding_key != NULL), faults, &faulty,
            "IDENTIHOOK_ONBOARDING_CERT and IDENTIHOOK_ONBOARDING_KEY belong together: set both or none");
    settings->onboarding_reach = reach_of(text_of(settings->onboarding_url), settings->onboarding_private);
    resolve_actions(settings, &settings->actions_verified, "IDENTIHOOK_ACTIONS_VERIFIED", faults, &faulty);
    resolve_actions(settings, &settings->actions_requires_input, "IDENTIHOOK_ACTIONS_REQUIRES_INPUT", faults, &faulty);
    if (settings->loops == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        settings->loops = processors > 0 ? (uint64_t)processors : 1;
    }
    return faulty;
}

/* Mails and pages speak in the name that the mails come from. */
static int default_brand(struct settings *settings)
{
    struct text name = mail_address_name(text_of(settings->mail_from));
    if (settings->brand_name || name.length == 0) {
        return 0;
    }
    settings->brand_name = text_copy(name);
    return settings->brand_name ? 0 : -ENOMEM;
}

static bool is_missing(const struct settings *settings, const struct setting *setting)
{
    return setting->need == SETTINGS_FOR_INGEST ? settings->webhook_secret_count == 0
                                                : !secret_is_set(&settings->stripe_key);
}

/* ---- loading */

static int open_environment(const char *env_file, struct environment **environment, struct buffer *faults)
{
    int status = environment_open(env_file, environment, faults);
    if (status < 0 && status != -ENOMEM) {
        buffer_append_format(faults, "%s cannot be read: %s; give --env-file a readable file\n", env_file,
                             strerror(-status));
        return SETTINGS_FAULTY;
    }
    return status == ENVIRONMENT_MALFORMED ? SETTINGS_FAULTY : status;
}

static int read_table(struct settings *settings, unsigned needs, const struct environment *environment,
                      struct buffer *faults)
{
    bool faulty = false;
    for (size_t i = 0; i < settings_table_length; i++) {
        int status = read_setting(settings, environment, &settings_table[i], faults);
        if (status < 0) {
            return status;
        }
        faulty = faulty || status != 0;
        if (status == 0 && (settings_table[i].need & needs) && is_missing(settings, &settings_table[i])) {
            add_fault(faults, &settings_table[i], "is required");
            faulty = true;
        }
    }
    struct name_check check = {.faults = faults};
    environment_each_name(environment, check_name, &check);
    /* Faults of single settings first: what depends on them would only repeat them in other words. */
    if (!faulty) {
        faulty = resolve(settings, needs, faults);
    }
    if (default_brand(settings) < 0) {
        return -ENOMEM;
    }
    return faulty || check.faulty ? SETTINGS_FAULTY : 0;
}

int settings_load(struct settings *settings, unsigned needs, const char *env_file, struct buffer *faults)
{
    *settings = (struct settings){0};
    struct environment *environment = NULL;
    int status = open_environment(env_file, &environment, faults);
    bool faulty = status == SETTINGS_FAULTY;
    if (status >= 0) {
        status = read_table(settings, needs, environment, faults);
    }
    environment_close(environment);
    return status == 0 && faulty ? SETTINGS_FAULTY : status;
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->webhook_secret_count; i++) {
        secret_clear(&settings->webhook_secrets[i].value);
    }
    for (size_t i = 0; i < settings->sessions.token_secret_count; i++) {
        secret_clear(&settings->sessions.token_secrets[i]);
    }
    for (size_t i = 0; i < settings->sessions.origin_count; i++) {
        free(settings->sessions.origins[i]);
    }
    secret_clear(&settings->stripe_key);
    secret_clear(&settings->smtp_password);
    secret_clear(&settings->onboarding_secret);
    secret_clear(&settings->onboarding_token);
    secret_clear(&settings->database_url);
    redis_url_free(&settings->redis);
    char *strings[] = {
        settings->stripe_api_base,
        settings->stripe_api_version,
        settings->namespace,
        settings->webhook_path,
        settings->tls_certificate,
        settings->tls_key,
        settings->tls_client_ca,
        settings->smtp_url,
        settings->smtp_username,
        settings->mail_from,
        settings->retry_page,
        settings->onboarding_url,
        settings->onboarding_certificate,
        settings->onboarding_key,
        settings->onboarding_ca,
        settings->reconcile_accounts,
        settings->ca_file,
        settings->mail_reply_to,
        settings->alternative_page,
        settings->support_address,
        settings->brand_name,
        settings->brand_color,
        settings->brand_logo_url,
        settings->mail_templates,
        settings->mail_locale_key,
        settings->sessions.token_audience,
        settings->sessions.token_issuer,
        settings->sessions.type,
        settings->sessions.flow,
        settings->sessions.return_url,
        settings->sessions.address_header,
        settings->sessions.publishable_key,
        settings->sessions.stripe_js_url,
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
    for (size_t i = 0; i < settings_table_length; i++) {
        const struct setting *setting = &settings_table[i];
        buffer_append_format(out, "  %s (%s", setting->name, default_text(setting));
        size_t length = out->length;
        buffer_append_string(out, "; ");
        setting_append_range(setting, out);
        if (out->length == length + 2) {
            out->length = length;
        }
        buffer_append_format(out, ")\n      %s\n", setting->help);
    }
}

void settings_describe_markdown(struct buffer *out)
{
    buffer_append_string(out, "| variable | default | range | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < settings_table_length; i++) {
        const struct setting *setting = &settings_table[i];
        const char *quote = setting->fallback ? "`" : "";
        buffer_append_format(out, "| `%s` | %s%s%s | ", setting->name, quote, default_text(setting), quote);
        setting_append_range(setting, out);
        buffer_append_format(out, " | %s |\n", setting->help);
    }
}
