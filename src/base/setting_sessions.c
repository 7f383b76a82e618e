/* The kinds of setting.h that creating sessions has. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/authority.h"
#include "setting_private.h"

const char *const integration_names[INTEGRATIONS] = {
    [INTEGRATION_MODAL] = "modal", [INTEGRATION_REDIRECT] = "redirect", [INTEGRATION_NATIVE] = "native"};

const char *const document_option_names[DOCUMENT_OPTIONS] = {
    [DOCUMENT_LIVE_CAPTURE] = "require_live_capture",
    [DOCUMENT_MATCHING_SELFIE] = "require_matching_selfie",
    [DOCUMENT_ID_NUMBER] = "require_id_number",
};

const char *const document_type_names[DOCUMENT_TYPES] = {
    [DOCUMENT_DRIVING_LICENSE] = "driving_license", [DOCUMENT_ID_CARD] = "id_card", [DOCUMENT_PASSPORT] = "passport"};

#define SECRET_MINIMUM 16 /* bytes: what is shorter can be found by trying, from one token */

static const char *token_secret_fault(struct text secret)
{
    const char *fault = setting_secret_fault(secret);
    if (fault) {
        return fault;
    }
    if (text_starts_with(secret, TEXT("whsec_")) || text_starts_with(secret, TEXT("sk_")) ||
        text_starts_with(secret, TEXT("rk_"))) {
        return "holds one of Stripe's secrets: it wants one that only your application and identihook know";
    }
    return secret.length < SECRET_MINIMUM
               ? "holds a secret of less than 16 bytes, which could be guessed: use 32 random bytes"
               : NULL;
}

int setting_token_secrets(const struct setting *setting, struct settings *settings, struct text value,
                          const char **fault)
{
    struct session_settings *sessions = &settings->sessions;
    (void)setting;
    while (value.data) {
        struct text part = text_cut(&value, ',');
        *fault = token_secret_fault(part);
        if (!*fault && sessions->token_secret_count == SESSION_SECRETS_MAXIMUM) {
            *fault = "holds more than 8 secrets";
        }
        if (*fault) {
            return 0;
        }
        int status = secret_set(&sessions->token_secrets[sessions->token_secret_count], part);
        if (status < 0) {
            return status;
        }
        sessions->token_secret_count++;
    }
    return 0;
}

int setting_integration(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    int index = setting_index_of(value, integration_names, INTEGRATIONS);
    if (index < 0) {
        *fault = "is not modal, redirect or native";
        return 0;
    }
    *(enum integration *)setting_field(settings, setting) = (enum integration)index;
    return 0;
}

int setting_session_type(const struct setting *setting, struct settings *settings, struct text value,
                         const char **fault)
{
    if (!text_equal(value, TEXT("document")) && !text_equal(value, TEXT("id_number"))) {
        *fault = "is not document or id_number";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

int setting_flow(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct text rest = value;
    bool fine = text_take_prefix(&rest, TEXT("vf_")) && rest.length > 0 && rest.length < 200;
    for (size_t i = 0; i < rest.length && fine; i++) {
        char byte = rest.data[i];
        fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
    }
    if (!fine) {
        *fault = "is not a verification flow's id: vf_ and letters and digits";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

int setting_document_options(const struct setting *setting, struct settings *settings, struct text value,
                             const char **fault)
{
    if (value.length > 0 &&
        !setting_read_set(value, document_option_names, DOCUMENT_OPTIONS, setting_field(settings, setting))) {
        *fault = "is not a list of require_live_capture, require_matching_selfie, require_id_number";
    }
    return 0;
}

int setting_document_types(const struct setting *setting, struct settings *settings, struct text value,
                           const char **fault)
{
    if (value.length > 0 &&
        !setting_read_set(value, document_type_names, DOCUMENT_TYPES, setting_field(settings, setting))) {
        *fault = "is not a list of driving_license, id_card, passport";
    }
    return 0;
}

int setting_header_name(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    for (size_t i = 0; i < value.length && !*fault; i++) {
        char byte = value.data[i];
        bool fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                    byte == '-' || byte == '_';
        *fault = fine ? NULL : "is not the name of a header";
    }
    *fault = value.length == 0 ? "is empty" : *fault;
    return *fault ? 0 : setting_copy(setting_field(settings, setting), value);
}

static const char *origin_fault(struct text origin)
{
    struct text server = origin;
    struct authority authority;
    if (!text_take_prefix(&server, TEXT("https://")) && !text_take_prefix(&server, TEXT("http://"))) {
        return "holds an origin that does not start with https:// or http://";
    }
    if (authority_parse(server, 1, &authority) < 0 || setting_has_blank(server)) {
        return "holds an origin with more or less than a host and a port behind its scheme: write it as browsers do, "
               "without a '/' at its end";
    }
    for (size_t i = 0; i < origin.length; i++) {
        if (origin.data[i] >= 'A' && origin.data[i] <= 'Z') {
            return "holds an origin with a capital letter in it: browsers send them in small letters";
        }
    }
    return NULL;
}

int setting_origins(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct session_settings *sessions = &settings->sessions;
    (void)setting;
    while (value.data) {
        struct text origin = text_trim(text_cut(&value, ','));
        *fault = origin_fault(origin);
        if (!*fault && sessions->origin_count == ORIGINS_MAXIMUM) {
            *fault = "holds more than 32 origins";
        }
        if (*fault) {
            return 0;
        }
        int status = setting_copy(&sessions->origins[sessions->origin_count], origin);
        if (status < 0) {
            return status;
        }
        sessions->origin_count++;
    }
    return 0;
}

int setting_publishable_key(const struct setting *setting, struct settings *settings, struct text value,
                            const char **fault)
{
    struct text rest = value;
    if (text_starts_with(value, TEXT("sk_")) || text_starts_with(value, TEXT("rk_"))) {
        *fault = "holds a secret key, which everyone could read in the page: it wants the publishable one (pk_…)";
    } else if (!text_take_prefix(&rest, TEXT("pk_")) || rest.length == 0) {
        *fault = "is not a publishable key: those start with pk_";
    }
    for (size_t i = 0; i < rest.length && !*fault; i++) {
        char byte = rest.data[i];
        bool fine =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
        *fault = fine ? NULL : "has a character in it that no key has";
    }
    return *fault ? 0 : setting_copy(setting_field(settings, setting), value);
}
