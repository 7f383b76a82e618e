/* The kinds of setting.h that one setting has. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mail_address.h"
#include "base/units.h"
#include "setting_private.h"

#define BASE64_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

static bool is_api_key(struct text value)
{
    return text_starts_with(value, TEXT("sk_")) || text_starts_with(value, TEXT("rk_")) ||
           text_starts_with(value, TEXT("pk_"));
}

static const char *webhook_secret_fault(struct text value)
{
    if (setting_is_blank(value) || text_equal(value, TEXT("whsec_"))) {
        return "is empty, or empty between commas: anyone could sign with an empty secret";
    }
    if (is_api_key(text_trim(value))) {
        return "holds an API key: it wants the endpoint's signing secret (whsec_…), the API key belongs in "
               "STRIPE_SECRET_KEY";
    }
    return setting_secret_fault(value);
}

static bool is_label(struct text text)
{
    bool fine = text.length > 0 && text.length < sizeof(((struct webhook_secret *)NULL)->label);
    for (size_t i = 0; i < text.length && fine; i++) {
        char byte = text.data[i];
        fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
               byte == '_' || byte == '.' || byte == '-';
    }
    return fine;
}

/* Cuts "label=" off the front of *part. An '=' that no signing secret or key follows is part of the secret itself. */
static const char *cut_label(struct text *part, struct text *label)
{
    struct text rest = *part;
    struct text before = text_cut(&rest, '=');
    struct text value = text_trim(rest);
    *label = (struct text){0};
    /* "old=" is a label that lost its secret, not a secret that anyone could guess. */
    bool labelled = text_starts_with(value, TEXT("whsec_")) || is_api_key(value) ||
                    (rest.data && value.length == 0 && is_label(before));
    if (!labelled) {
        return NULL;
    }
    *part = rest;
    *label = before;
    return is_label(before) ? NULL : "has a label that is not 1 to 31 letters, digits, '_', '.' or '-'";
}

/* Blanks beside a comma belong to the list; those at the ends of the whole value are told as a fault. */
static struct text cut_part(struct text *rest, bool first)
{
    struct text part = text_cut(rest, ',');
    struct text trimmed = text_trim(part);
    const char *end = rest->data ? trimmed.data + trimmed.length : part.data + part.length;
    const char *begin = first ? part.data : trimmed.data;
    return (struct text){.data = begin, .length = begin < end ? (size_t)(end - begin) : 0};
}

int setting_webhook_secrets(const struct setting *setting, struct settings *settings, struct text value,
                            const char **fault)
{
    (void)setting;
    bool first = true;
    while (value.data) {
        struct text part = cut_part(&value, first);
        struct text label;
        first = false;
        *fault = cut_label(&part, &label);
        *fault = *fault ? *fault : webhook_secret_fault(part);
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
    *fault = setting_secret_fault(value);
    if (!*fault && text_starts_with(value, TEXT("whsec_"))) {
        *fault =
            "holds a signing secret: it wants an API key (rk_… or sk_…), the secret belongs in STRIPE_WEBHOOK_SECRET";
    } else if (!*fault && text_starts_with(value, TEXT("pk_"))) {
        *fault = "holds a publishable key, which may not read sessions: it wants rk_… or sk_…";
    } else if (!*fault && !text_starts_with(value, TEXT("sk_")) && !text_starts_with(value, TEXT("rk_"))) {
        *fault = "is not an API key: those start with rk_ or sk_";
    } else if (!*fault && setting_has_blank(value)) {
        *fault = "has a blank in it";
    }
    return *fault ? 0 : secret_set(&settings->stripe_key, value);
}

/* Base64 in whole groups of four, after "whsec_" or bare: what core/standard_webhook.h can decode. */
static bool is_signing_secret(struct text value)
{
    (void)text_take_prefix(&value, TEXT("whsec_"));
    size_t digits = 0;
    while (digits < value.length && value.data[digits] != '\0' && strchr(BASE64_DIGITS, value.data[digits])) {
        digits++;
    }
    size_t padding = value.length - digits;
    return value.length % 4 == 0 && digits > 0 && value.length <= 4096 &&
           (padding == 0 || (padding <= 2 && memcmp(value.data + digits, "==", padding) == 0));
}

int setting_signing_secret(const struct setting *setting, struct settings *settings, struct text value,
                           const char **fault)
{
    *fault = setting_secret_fault(value);
    if (!*fault && !is_signing_secret(value)) {
        *fault = "is not whsec_ and base64, padded with '=' to a multiple of four characters";
    }
    return *fault ? 0 : secret_set(setting_field(settings, setting), value);
}

int setting_redis(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    int status = redis_url_parse(value, &settings->redis);
    if (status == -EINVAL) {
        *fault = "is not redis://host:port/db, rediss:// (TLS), unix:///path, redis+sentinel://host,host/master or "
                 "redis+cluster://host,host";
        status = 0;
    }
    return status;
}

int setting_namespace(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    bool fine = value.length > 0 && value.length <= 64;
    for (size_t i = 0; i < value.length && fine; i++) {
        fine = is_label((struct text){.data = value.data + i, .length = 1}) || value.data[i] == ':';
    }
    if (!fine) {
        *fault = "is not 1 to 64 letters, digits, '_', '.', ':' or '-'";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

int setting_path(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (value.length == 0 || value.data[0] != '/' || setting_has_blank(value) ||
        memchr(value.data, '?', value.length) || memchr(value.data, '#', value.length)) {
        *fault = "is not a path that starts with '/' and has no '?' or '#' in it";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
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
    setting_read_number(setting, settings, status, number, "is not a duration: write a number of seconds", fault);
    return 0;
}

int setting_events(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {"created", "processing", "verified", "requires_input", "canceled", "redacted"};
    if (!setting_read_set(value, words, ARRAY_LENGTH(words), setting_field(settings, setting))) {
        *fault = "is not a list of created, processing, verified, requires_input, canceled, redacted";
    }
    return 0;
}

int setting_outputs(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {"first_name",     "last_name", "dob",   "address", "id_number",
                                        "id_number_type", "email",     "phone", "sex"};
    if (value.length > 0 && !setting_read_set(value, words, ARRAY_LENGTH(words), setting_field(settings, setting))) {
        *fault = "is not a list of first_name, last_name, dob, address, id_number, id_number_type, email, phone, sex";
    }
    return 0;
}

int setting_access_log(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {
        [ACCESS_LOG_OFF] = "off", [ACCESS_LOG_ERRORS] = "errors", [ACCESS_LOG_ALL] = "all"};
    int index = setting_index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not off, errors or all";
        return 0;
    }
    *(enum access_log_mode *)setting_field(settings, setting) = (enum access_log_mode)index;
    return 0;
}

int setting_livemode(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {[LIVEMODE_ANY] = "any", [LIVEMODE_LIVE] = "live", [LIVEMODE_TEST] = "test"};
    int index = setting_index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not any, live or test";
        return 0;
    }
    *(enum livemode_filter *)setting_field(settings, setting) = (enum livemode_filter)index;
    return 0;
}

static bool is_account(struct text id)
{
    bool fine = text_take_prefix(&id, TEXT("acct_")) && id.length > 0 && id.length <= 250;
    for (size_t i = 0; fine && i < id.length; i++) {
        char byte = id.data[i];
        fine = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    }
    return fine;
}

int setting_accounts(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct text rest = value;
    while (rest.data) {
        if (!is_account(text_trim(text_cut(&rest, ',')))) {
            *fault = "is not a list of accounts' ids: acct_ and letters and digits, separated by commas";
            return 0;
        }
    }
    return setting_copy(setting_field(settings, setting), value);
}

static int read_missing(const struct setting *setting, struct settings *settings, struct text value, int choices,
                        const char **fault)
{
    static const char *const words[] = {[MISSING_SKIP] = "skip", [MISSING_DEAD] = "dead", [MISSING_SEND] = "send"};
    int index = setting_index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0 || index >= choices) {
        *fault = choices == ARRAY_LENGTH(words) ? "is not send, skip or dead" : "is not skip or dead";
        return 0;
    }
    *(enum missing_policy *)setting_field(settings, setting) = (enum missing_policy)index;
    return 0;
}

int setting_missing_email(const struct setting *setting, struct settings *settings, struct text value,
                          const char **fault)
{
    return read_missing(setting, settings, value, MISSING_SEND, fault);
}

int setting_missing_user(const struct setting *setting, struct settings *settings, struct text value,
                         const char **fault)
{
    return read_missing(setting, settings, value, MISSING_SEND + 1, fault);
}

int setting_private_addresses(const struct setting *setting, struct settings *settings, struct text value,
                              const char **fault)
{
    static const char *const words[] = {
        [PRIVATE_WHERE_NAMED] = "named", [PRIVATE_ALLOWED] = "yes", [PRIVATE_REFUSED] = "no"};
    int index = setting_index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not named, yes or no";
        return 0;
    }
    *(enum private_addresses *)setting_field(settings, setting) = (enum private_addresses)index;
    return 0;
}

int setting_durability(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    static const char *const words[] = {
        [DURABILITY_MEMORY] = "memory", [DURABILITY_REPLICA] = "replica", [DURABILITY_AOF] = "aof"};
    int index = setting_index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not memory, replica or aof";
        return 0;
    }
    *(enum durability_setting *)setting_field(settings, setting) = (enum durability_setting)index;
    return 0;
}

int setting_actions(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct action_list *list = setting_field(settings, setting);
    list->given = true;
    while (value.length > 0) {
        struct text word = text_trim(text_cut(&value, ','));
        enum action action = 0;
        while (action < ACTION_ERASE && !text_equal(word, text_of(action_names[action]))) {
            action++;
        }
        bool again = false;
        for (size_t i = 0; i < list->count; i++) {
            again = again || list->items[i] == action;
        }
        if (action == ACTION_ERASE) {
            *fault = "is not a list of email, onboarding, postgres";
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

/* The options behind SMTP_URL's '?'. */
static bool read_smtp_options(struct text query, struct settings *settings)
{
    while (query.length > 0) {
        struct text option = text_cut(&query, '&');
        if (text_equal(option, TEXT("starttls=required"))) {
            settings->smtp_starttls = STARTTLS_REQUIRED;
        } else if (text_equal(option, TEXT("starttls=off"))) {
            settings->smtp_starttls = STARTTLS_OFF;
        } else if (text_equal(option, TEXT("login=cleartext"))) {
            settings->smtp_cleartext_login = true;
        } else {
            return false;
        }
    }
    return true;
}

/* A loopback address, with a port or without: what goes there is on no wire. */
static bool is_this_machine(struct text server)
{
    char host[INET_ADDRSTRLEN];
    struct in_addr address;
    if (text_starts_with(server, TEXT("[::1]"))) {
        return true;
    }
    struct text name = text_cut(&server, ':');
    (void)snprintf(host, sizeof(host), "%.*s", TEXT_ARGUMENTS(name));
    bool is_numeric = name.length < sizeof(host) && inet_pton(AF_INET, host, &address) == 1;
    return text_equal(name, TEXT("localhost")) || (is_numeric && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET);
}

int setting_smtp(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    (void)setting;
    struct text query = value;
    struct text url = text_cut(&query, '?');
    struct text server = url;
    if (!text_take_prefix(&server, TEXT("smtp://")) && !text_take_prefix(&server, TEXT("smtps://"))) {
        *fault = "is not a URL that starts with smtp:// or smtps://";
    } else if (memchr(url.data, '@', url.length)) {
        *fault = "has a login in it: put that into SMTP_USERNAME and SMTP_PASSWORD";
    } else if (setting_server_fault(server)) {
        *fault = setting_server_fault(server);
    } else if (!read_smtp_options(query, settings)) {
        *fault = "has an unknown option: only starttls=required, starttls=off and login=cleartext are known";
    }
    settings->smtp_cleartext_login |= is_this_machine(server);
    return *fault ? 0 : setting_copy(&settings->smtp_url, url);
}

/* A display name that may stand in a header as it is (RFC 5322 section 3.2.5, and '.' as everyone writes it). */
static bool is_phrase(struct text name)
{
    name = text_trim(name);
    bool quoted = name.length >= 2 && name.data[0] == '"' && name.data[name.length - 1] == '"';
    if (quoted) {
        name = (struct text){.data = name.data + 1, .length = name.length - 2};
    }
    for (size_t i = 0; i < name.length; i++) {
        if (name.data[i] == '"' || (!quoted && strchr(",;:<>@()[]\\", name.data[i]))) {
            return false;
        }
    }
    return true;
}

int setting_mail_from(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct text address;
    if (setting_has_control(value) || mail_address_find(value, &address) < 0) {
        *fault = "is not an address, or a name with an address in <>";
        return 0;
    }
    struct text name = text_trim((struct text){.data = value.data, .length = (size_t)(address.data - value.data)});
    if (name.length > 1 && !is_phrase((struct text){.data = name.data, .length = name.length - 1})) {
        *fault = "has a name with one of ,;:@()[]\\ in it, which must be in quotes";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

int setting_address(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct text address;
    if (mail_address_find(value, &address) < 0 || address.length != value.length) {
        *fault = "is not a bare e-mail address";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

int setting_color(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    bool fine = value.length == 7 && value.data[0] == '#';
    for (size_t i = 1; i < value.length && fine; i++) {
        fine = value.data[i] != '\0' && strchr("0123456789abcdefABCDEF", value.data[i]);
    }
    if (!fine) {
        *fault = "is not a colour: write # and six hexadecimal digits";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

int setting_database(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    *fault = setting_secret_fault(value);
    if (!*fault && !text_starts_with(value, TEXT("postgresql://")) && !text_starts_with(value, TEXT("postgres://"))) {
        *fault = "is not a URL that starts with postgresql://";
    } else if (!*fault && setting_has_blank(value)) {
        *fault = "has a blank in it: write %20";
    }
    return *fault ? 0 : secret_set(setting_field(settings, setting), value);
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
    int index = setting_index_of(value, words, ARRAY_LENGTH(words));
    if (index < 0) {
        *fault = "is not debug, info, warn or error";
        return 0;
    }
    settings->log_level = (enum log_level)index;
    return 0;
}
