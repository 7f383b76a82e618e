/*
 * Any token, and any claims under a good signature: nothing that is not signed is valid, and what is valid has a user
 * that may go into Stripe's parameters. The first byte says which of the two it is.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buffer.h"
#include "base/mail_address.h"
#include "core/jwt_library.h"
#include "core/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "a secret of more than thirty-two bytes";

static void append_encoded(struct buffer *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | data[i];
        for (count += 8; count >= 6; count -= 6) {
            buffer_append_byte(out, digits[bits >> (count - 6) & 63]);
        }
    }
    if (count > 0) {
        buffer_append_byte(out, digits[bits << (6 - count) & 63]);
    }
}

static void append_signed(struct buffer *out, const uint8_t *claims, size_t size)
{
    static const char head[] = "{\"alg\":\"HS256\"}";
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    append_encoded(out, (const uint8_t *)head, sizeof(head) - 1);
    buffer_append_byte(out, '.');
    append_encoded(out, claims, size);
    (void)HMAC(EVP_sha256(), secret, sizeof(secret) - 1, (const unsigned char *)out->data, out->length, mac, &length);
    buffer_append_byte(out, '.');
    append_encoded(out, mac, length);
}

static void check(const struct token *token)
{
    struct text address;
    bool fine = token->user[0] != '\0';
    for (const char *at = token->user; *at; at++) {
        fine = fine && (unsigned char)*at >= ' ' && *at != 0x7f;
    }
    if (!fine || (token->email[0] != '\0' && mail_address_find(text_of(token->email), &address) != 0)) {
        abort();
    }
}

static struct token_keys *open_keys(void)
{
    struct token_keys *keys;
    struct secret one = {0};
    struct buffer fault = {0};
    if (jwt_library_open(&fault) != 0 || secret_set(&one, text_of(secret)) < 0 ||
        token_keys_create(&one, 1, &keys) < 0) {
        abort();
    }
    secret_clear(&one);
    return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_keys *keys;
    keys = keys ? keys : open_keys();
    struct token_rules rules = {.keys = keys, .leeway_s = 30};
    struct token token = {0};
    struct buffer text = {0};
    bool is_signed = size > 0 && data[0] % 2 == 0;
    if (is_signed) {
        append_signed(&text, data + 1, size - 1);
    } else if (size > 0) {
        buffer_append(&text, (struct text){.data = (const char *)data + 1, .length = size - 1});
    }
    int status = token_verify(&rules, buffer_text(&text), 1800000000, &token);
    if (status == TOKEN_VALID && !is_signed) {
        abort();
    }
    if (status == TOKEN_VALID) {
        check(&token);
    }
    buffer_free(&text);
    return 0;
}
