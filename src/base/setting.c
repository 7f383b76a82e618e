#include "base/setting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"
#include "base/units.h"

static void *field(struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

static int copy_into(char **field, struct text value)
{
    free(*field);
    *field = text_copy(value);
    return *field ? 0 : -ENOMEM;
}

static bool is_blank(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (!strchr(" \t\r\n\v\f", text.data[i])) {
            return false;
        }
    }
    return true;
}

static bool has_blank(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= ' ' || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

/* ---- general kinds */

int setting_text(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (is_blank(value)) {
        *fault = "is empty";
        return 0;
    }
    return copy_into(field(settings, setting), value);
}

int setting_word(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (value.length == 0 || has_blank(value)) {
        *fault = "is empty or has blanks in it";
        return 0;
    }
    return copy_into(field(settings, setting), value);
}

int setting_http_url(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct text secure = TEXT("https://");
    struct text plain = TEXT("http://");
    bool has_scheme = (text_starts_with(value, secure) && value.length > secure.length) ||
                      (text_starts_with(value, plain) && value.length > plain.length);
    if (!has_scheme || has_blank(value)) {
        *fault = "is not a URL that starts with https:// or http://";
        return 0;
    }
    return copy_into(field(settings, setting), value);
}

static const char *secret_fault(struct text value)
{
    if (is_blank(value)) {
        return "is empty: anyone could sign with an empty secret";
    }
    if (strchr(" \t\r\n", value.data[0]) || strchr(" \t\r\n", value.data[value.length - 1])) {
        return "begins or ends with a blank or a line end, which would be part of the secret: remove it";
    }
    return NULL;
}

int setting_secret(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    *fault = secret_fault(value);
    return *fault ? 0 : secret_set(field(settings, setting), value);
}

static void read_number(const struct setting *setting, struct settings *settings, int status, uint64_t number,
                        const char *kind, const char **fault)
{
    if (status == -EINVAL) {
        *fault = kind;
    } else if (status == -ERANGE || number > setting->most) {
        *fault = "is too large";
    } else if (number < setting->least) {
        *fault = "is too small";
    } else {
        *(uint64_t *)field(settings, setting) = number;
    }
}

int setting_count(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = text_to_unsigned(value, UINT64_MAX, &number);
    read_number(setting, settings, status, number, "is not a whole number", fault);
    return 0;
}

int setting_size(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_size(value, &number);
    read_number(setting, settings, status, number, "is not a size: write a number, or one with k, M or G", fault);
    return 0;
}

int setting_duration(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_duration(value, &number);
    read_number(setting, settings, status, number, "is not a duration: write a number with ms, s, m, h or d", fault);
    return 0;
}

int setting_rate(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_rate(value, &number);
    read_number(setting, settings, status, number, "is not a rate: write a number with /s or /m", fault);
    return 0;
}

int setting_endpoint(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (endpoint_parse(value, field(settings, setting)) < 0) {
        *fault = "is not ADDRESS:PORT with a numeric address";
    }
    return 0;
}

/* ---- kinds of one setting */

static const char *webhook_secret_fault(struct text value)
{
    if (text_starts_with(value, TEXT("sk_")) || text_starts_with(value, TEXT("rk_")) ||
        text_starts_with(value, TEXT("pk_"))) {
        return "holds an API key: it wants the endpoint's signing secret (whsec_…), the API key belongs in "
               "STRIPE_SECRET_KEY";
    }
    return secret_fault(value);
}

/* "label=whsec_…": a label is a short word; anything else before an '=' is part of the secret. */
static struct text cut_label(struct text *part)
{
    struct text rest = *part;
    struct text label = text_cut(&rest, '=');
    if (!rest.data || label.length == 0 || label.length >= sizeof(((struct webhook_secret *)NULL)->label) ||
        !text_starts_with(rest, TEXT("whsec_"))) {
        return (struct text){0};
    }
    *part = rest;
    return label;
}

int setting_webhook_secrets(const struct setting *setting, struct settings *settings, struct text value,
                            const char **fault)
{
    (void)setting;
    while (value.data) {
        struct text part = text_cut(&value, ',');
        struct text label = cut_label(&part);
        *fault = webhook_secret_fault(part);
        if (!*fault && settings->webhook_secret_count == WEBHOOK_SECRETS_MAXIMUM) {
            *fault = "holds more than 16 secrets";
        }
        if (*fault) {
            return 0;
        }
        struct webhook_secret *secret = &settings->webhook_secrets[settings->webhook_secret_count];
        int status = secret_set(&secret->value, part);
        if (status < 0) {
            return status;
        }
        if (label.length > 0) {
            memcpy(secret->label, label.data, label.length);
        }
        secret->label[label.length] = '\0';
        settings->webhook_secret_count++;
    }
    return 0;
}

int setting_stripe_key(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    *fault = secret_fault(value);
    if (!*fault && text_starts_with(value, TEXT("whsec_"))) {
        *fault =
            "holds a signing secret: it wants an API key (rk_… or sk_…), the secret belongs in STRIPE_WEBHOOK_SECRET";
    } else if (!*fault && text_starts_with(value, TEXT("pk_"))) {
        *fault = "holds a publishable key, which may not read sessions: it wants rk_… or sk_…";
    } else if (!*fault && !text_starts_with(value, TEXT("sk_")) && !text_starts_with(value, TEXT("rk_"))) {
        *fault = "is not an API key: those start with rk_ or sk_";
    } else if (!*fault && has_blank(value)) {
        *fault = "has a blank in it";
    }
    return *fault ? 0 : secret_set(&settings->stripe_key, value);
}

int setting_redis(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    int status = redis_url_parse(value, &settings->redis);
    if (status == -EINVAL) {
        *fault = "is not redis://, rediss:// or unix:// with a host or path and a database number";
        status = 0;
    }
    return status;
}

int setting_namespace(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    bool fine = value.length > 0 && value.length <= 64;
    for (size_t i = 0; i < value.length && fine; i++) {
        fine = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-", value.data[i]) != NULL;
    }
    if (!fine) {
        *fault = "is not 1 to 64 letters, digits, '_', '.', ':' or '-'";
        return 0;
    }
    return copy_into(field(settings, setting), value);
}

int setting_path(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (value.length == 0 || value.data[0] != '/' || has_blank(value) || memchr(value.data, '?', value.length)) {
        *fault = "is not a path that starts with '/'";
        return 0;
    }
    return copy_into(field(settings, setting), value);
}

int setting_tolerance(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_duration(value, &number);
    if (status == -EINVAL && text_to_unsigned(value, UINT32_MAX, &number) == 0) {
        number *= 1000;
        status = 0;
    }
    if (status == 0 && number == 0) {
        *fault = "is 0, which would let old requests be sent again for ever";
        return 0;
    }
    if (status == 0 && number % 1000 != 0) {
        *fault = "is not in whole seconds";
        return 0;
    }
    read_number(setting, settings, status, number, "is not a duration: write a number of seconds", fault);
    return 0;
}

/* The index of `word` among `words`, or -1. */
static int index_of(struct text word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal(word, text_of(words[i]))) {
            return (int)i;
        }
    }
    return -1;
}

/* A comma-separated set of `words` as bits; false when a part is not among them. */
static bool read_set(struct text value, const char *const *words, size_t count, unsigned *set)
{
    *set = 0;
    while (value.data) {
        int index = index_of(text_trim(text_cut(&value, ',')), words, count);
        if (index < 0) {
            return false;
        }
        *set |= 1u << index;
    }
    return true;
}

int setting_events(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {"created", "processing", "verified", "requires_input", "canceled", "redacted"};
    if (!read_set(value, words, ARRAY_LENGTH(words), field(settings, setting))) {
        *fault = "is not a list of created, processing, verified, requires_input, canceled, redacted";
    }
    return 0;
}

int setting_outputs(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {"first_name",     "last_name", "dob",   "address", "id_number",
                                        "id_number_type", "email",     "phone", "sex"};
    if (value.length > 0 && !read_set(value, words, ARRAY_LENGTH(words), field(settings, setting))) {
        *fault = "is not a list of first_name, last_name, dob, address, id_number, id_number_type, email, phone, sex";
    }
    return 0;
}

int setting_livemode(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {[LIVEMODE_ANY] = "any", [LIVEMODE_LIVE] = "live", [LIVEMODE_TEST] = "test"};
    int index = index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not any, live or test";
        return 0;
    }
    *(enum livemode_filter *)field(settings, setting) = (enum livemode_filter)index;
    return 0;
}

int setting_actions(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct action_list *list = field(settings, setting);
    list->given = true;
    while (value.length > 0) {
        struct text word = text_trim(text_cut(&value, ','));
        enum action action = 0;
        while (action < ACTIONS && !text_equal(word, text_of(action_names[action]))) {
            action++;
        }
        bool again = false;
        for (size_t i = 0; i < list->count; i++) {
            again = again || list->items[i] == action;
        }
        if (text_equal(word, TEXT("postgres"))) {
            *fault = "names postgres, which this version does not have";
        } else if (action == ACTIONS) {
            *fault = "is not a list of email, onboarding";
        } else if (again) {
            *fault = "names an action twice";
        }
        if (*fault) {
            return 0;
        }
        list->items[list->count++] = action;
    }
    return 0;
}

int setting_smtp(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    struct text query = value;
    struct text url = text_cut(&query, '?');
    bool plain = text_starts_with(url, TEXT("smtp://")) && url.length > 7;
    bool secure = text_starts_with(url, TEXT("smtps://")) && url.length > 8;
    if ((!plain && !secure) || has_blank(url)) {
        *fault = "is not a URL that starts with smtp:// or smtps://";
    } else if (memchr(url.data, '@', url.length)) {
        *fault = "has a login in it: put that into SMTP_USERNAME and SMTP_PASSWORD";
    } else if (query.length > 0 && text_equal(query, TEXT("starttls=required"))) {
        settings->smtp_starttls = STARTTLS_REQUIRED;
    } else if (query.length > 0 && text_equal(query, TEXT("starttls=off"))) {
        settings->smtp_starttls = STARTTLS_OFF;
    } else if (query.length > 0) {
        *fault = "has an unknown option: only ?starttls=required and ?starttls=off are known";
    }
    return *fault ? 0 : copy_into(&settings->smtp_url, url);
}

int setting_mail_from(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    const char *at = value.length > 0 ? memchr(value.data, '@', value.length) : NULL;
    bool breaks = false;
    for (size_t i = 0; i < value.length; i++) {
        breaks = breaks || (unsigned char)value.data[i] < ' ';
    }
    if (!at || breaks) {
        *fault = "is not an address, or a name with an address in <>";
        return 0;
    }
    return copy_into(field(settings, setting), value);
}

int setting_log_format(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    if (text_equal(value, TEXT("auto"))) {
        settings->log_format = isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
    } else if (text_equal(value, TEXT("text"))) {
        settings->log_format = LOG_FORMAT_TEXT;
    } else if (text_equal(value, TEXT("json"))) {
        settings->log_format = LOG_FORMAT_JSON;
    } else {
        *fault = "is not text, json or auto";
    }
    return 0;
}

int setting_log_level(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    static const char *const words[] = {"debug", "info", "warn", "error"};
    int index = index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not debug, info, warn or error";
        return 0;
    }
    settings->log_level = (enum log_level)index;
    return 0;
}
