#include "core/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "base/mail_address.h"
#include "jwt_functions.h"

static const char *const messages[TOKEN_VERDICTS] = {
    [TOKEN_VALID] = "the token is valid",
    [TOKEN_MALFORMED] = "the token is not a JSON Web Token of at most 4096 bytes",
    [TOKEN_ALGORITHM] = "the token must be signed with HS256, without critical extensions",
    [TOKEN_SIGNATURE] = "the token is not signed with the secret that is known here",
    [TOKEN_EXPIRED] = "the token has expired: get a new one",
    [TOKEN_TIMELESS] = "the token's exp is missing, or its exp or nbf is no number",
    [TOKEN_EARLY] = "the token is not valid yet (nbf): are the clocks right?",
    [TOKEN_AUDIENCE] = "the token is for another audience (aud)",
    [TOKEN_ISSUER] = "the token is from another issuer (iss)",
    [TOKEN_SUBJECT] = "the token's sub is not a user id of 1 to 200 bytes without control characters",
    [TOKEN_EMAIL] = "the token's email is not an e-mail address",
};

struct token_keys {
    size_t count;
    struct secret secrets[];
};

int token_keys_create(const struct secret *secrets, size_t count, struct token_keys **created)
{
    struct token_keys *keys = calloc(1, sizeof(*keys) + count * sizeof(*secrets));
    if (!keys) {
        return -ENOMEM;
    }
    for (; keys->count < count; keys->count++) {
        if (secret_set(&keys->secrets[keys->count], secret_reveal(&secrets[keys->count])) < 0) {
            token_keys_free(keys);
            return -ENOMEM;
        }
    }
    *created = keys;
    return 0;
}

void token_keys_free(struct token_keys *keys)
{
    for (size_t i = 0; keys && i < keys->count; i++) {
        secret_clear(&keys->secrets[i]);
    }
    free(keys);
}

const char *token_verdict_message(enum token_verdict verdict)
{
    return messages[verdict];
}

/* Three parts of base64url. libjwt would be more patient. */
static bool has_form(struct text text)
{
    size_t dots = 0;
    size_t part = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        bool digit = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                     byte == '-' || byte == '_';
        if (byte == '.' && part > 0) {
            dots++;
            part = 0;
        } else if (digit) {
            part++;
        } else {
            return false;
        }
    }
    return dots == 2 && part > 0 && text.length <= TOKEN_MAXIMUM;
}

static void wipe(char *string)
{
    if (string) {
        OPENSSL_cleanse(string, strlen(string));
        free(string);
    }
}

/* Decodes base64url without padding (RFC 7515 section 2), digits only, into `bytes`, which has room for 3/4 of it and 3
 * more. Returns the length. */
static size_t decode(struct text text, unsigned char *bytes)
{
    unsigned bits = 0;
    unsigned count = 0;
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        unsigned digit = byte >= 'a'   ? (unsigned)(byte - 'a') + 26
                         : byte == '_' ? 63u
                         : byte >= 'A' ? (unsigned)(byte - 'A')
                         : byte == '-' ? 62u
                                       : (unsigned)(byte - '0') + 52;
        bits = bits << 6 | digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[length++] = (unsigned char)(bits >> count);
        }
    }
    return length;
}

/* Before any key is tried: what the token says of its algorithm must not choose how it is checked. */
static int check_head(struct text token)
{
    unsigned char bytes[TOKEN_MAXIMUM];
    json_error_t error;
    size_t length = decode(text_cut(&token, '.'), bytes);
    json_t *head = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, &error);
    const char *algorithm = json_string_value(json_object_get(head, "alg"));
    int status = !json_is_object(head)                                                            ? TOKEN_MALFORMED
                 : !algorithm || strcmp(algorithm, "HS256") != 0 || json_object_get(head, "crit") ? TOKEN_ALGORITHM
                                                                                                  : TOKEN_VALID;
    json_decref(head);
    return status;
}

/* The claims of a token that one of the secrets has signed, to be wiped; NULL: none has, or memory ran out. */
static char *read_claims(const struct token_rules *rules, const char *token)
{
    for (size_t i = 0; i < rules->keys->count; i++) {
        struct text secret = secret_reveal(&rules->keys->secrets[i]);
        jwt_t *jwt = NULL;
        if (jwt_decode(&jwt, token, (const unsigned char *)secret.data, (int)secret.length) == 0) {
            char *claims = jwt_get_alg(jwt) == JWT_ALG_HS256 ? jwt_get_grants_json(jwt, NULL) : NULL;
            jwt_free(jwt);
            return claims;
        }
    }
    return NULL;
}

/* ---- claims */

static int check_times(const json_t *claims, int64_t now, int64_t leeway)
{
    const json_t *expires = json_object_get(claims, "exp");
    const json_t *begins = json_object_get(claims, "nbf");
    if (!json_is_number(expires) || (begins && !json_is_number(begins))) {
        return TOKEN_TIMELESS;
    }
    double end = json_number_value(expires);
    if ((double)now >= end + (double)leeway) {
        return TOKEN_EXPIRED;
    }
    return begins && (double)(now + leeway) < json_number_value(begins) ? TOKEN_EARLY : TOKEN_VALID;
}

static bool is_string(const json_t *json, const char *wanted)
{
    const char *string = json_string_value(json);
    return string && strcmp(string, wanted) == 0;
}

static bool names_audience(const json_t *audience, const char *wanted)
{
    for (size_t i = 0; i < json_array_size(audience); i++) {
        if (is_string(json_array_get(audience, i), wanted)) {
            return true;
        }
    }
    return is_string(audience, wanted);
}

static bool is_user(struct text user)
{
    for (size_t i = 0; i < user.length; i++) {
        unsigned char byte = (unsigned char)user.data[i];
        if (byte < ' ' || byte == 0x7f) {
            return false;
        }
    }
    return user.length > 0 && user.length <= TOKEN_USER_MAXIMUM;
}

static bool is_email(struct text email)
{
    struct text address;
    return email.length <= TOKEN_EMAIL_MAXIMUM && mail_address_find(email, &address) == 0 &&
           address.length == email.length;
}

static struct text string_of(const json_t *json)
{
    return (struct text){.data = json_string_value(json), .length = json_string_length(json)};
}

static int check_claims(const struct token_rules *rules, const json_t *claims, int64_t now, struct token *token)
{
    const json_t *email = json_object_get(claims, "email");
    struct text user = string_of(json_object_get(claims, "sub"));
    struct text address = string_of(email);
    int verdict = check_times(claims, now, rules->leeway_s);
    if (verdict != TOKEN_VALID) {
        return verdict;
    }
    if (rules->audience && !names_audience(json_object_get(claims, "aud"), rules->audience)) {
        return TOKEN_AUDIENCE;
    }
    if (rules->issuer && !is_string(json_object_get(claims, "iss"), rules->issuer)) {
        return TOKEN_ISSUER;
    }
    if (!is_user(user)) {
        return TOKEN_SUBJECT;
    }
    if (email && !json_is_null(email) && !is_email(address)) {
        return TOKEN_EMAIL;
    }
    token_clear(token);
    memcpy(token->user, user.data, user.length);
    if (address.data) {
        memcpy(token->email, address.data, address.length);
    }
    return TOKEN_VALID;
}

static int verify(const struct token_rules *rules, const char *copy, int64_t now, struct token *token)
{
    int status = check_head(text_of(copy));
    if (status != 0) {
        return status;
    }
    char *text = read_claims(rules, copy);
    if (!text) {
        return TOKEN_SIGNATURE;
    }
    json_error_t error;
    json_t *claims = json_loads(text, 0, &error);
    status = json_is_object(claims) ? check_claims(rules, claims, now, token) : TOKEN_MALFORMED;
    json_decref(claims);
    wipe(text);
    return status;
}

int token_verify(const struct token_rules *rules, struct text text, int64_t now, struct token *token)
{
    if (!has_form(text)) {
        return TOKEN_MALFORMED;
    }
    char *copy = text_copy(text);
    int status = copy ? verify(rules, copy, now, token) : -ENOMEM;
    wipe(copy);
    return status;
}

void token_clear(struct token *token)
{
    OPENSSL_cleanse(token, sizeof(*token));
}
