#include "stripe/signature.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/decimal.h"

#define MAC_LENGTH 32
#define HEX_LENGTH 64

struct signature_keys {
    size_t count;
    EVP_MAC_CTX *contexts[]; /* each holds its key; EVP_MAC_init with a NULL key starts over with that one */
};

/* What a header says. */
struct claim {
    int64_t timestamp;
    size_t count;
    unsigned char candidates[SIGNATURE_CANDIDATES_MAXIMUM][MAC_LENGTH];
};

/* ---- keys */

static EVP_MAC_CTX *create_context(EVP_MAC *hmac, struct text secret)
{
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    if (context && EVP_MAC_init(context, (const unsigned char *)secret.data, secret.length, parameters) != 1) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

int signature_keys_create(const struct text *secrets, size_t count, struct signature_keys **created)
{
    *created = NULL;
    for (size_t i = 0; i < count; i++) {
        if (secrets[i].length == 0) {
            return -EINVAL; /* OpenSSL would take an empty key, and then everyone can sign */
        }
    }
    struct signature_keys *keys = calloc(1, sizeof(*keys) + count * sizeof(EVP_MAC_CTX *));
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!keys || !hmac) {
        goto fail;
    }
    for (; keys->count < count; keys->count++) {
        keys->contexts[keys->count] = create_context(hmac, secrets[keys->count]);
        if (!keys->contexts[keys->count]) {
            goto fail;
        }
    }
    EVP_MAC_free(hmac);
    *created = keys;
    return 0;

fail:
    EVP_MAC_free(hmac);
    signature_keys_free(keys);
    return -ENOMEM;
}

void signature_keys_free(struct signature_keys *keys)
{
    for (size_t i = 0; keys && i < keys->count; i++) {
        EVP_MAC_CTX_free(keys->contexts[i]);
    }
    free(keys);
}

/* HMAC over "TIMESTAMP.BODY". A failure leaves a MAC that nobody can have sent: the comparison then fails. */
static bool compute(EVP_MAC_CTX *context, int64_t timestamp, struct text body, unsigned char mac[MAC_LENGTH])
{
    char digits[DECIMAL_SIZE];
    struct text prefix = decimal_write((uint64_t)timestamp, digits);
    size_t written = 0;
    return EVP_MAC_init(context, NULL, 0, NULL) == 1 &&
           EVP_MAC_update(context, (const unsigned char *)prefix.data, prefix.length) == 1 &&
           EVP_MAC_update(context, (const unsigned char *)".", 1) == 1 &&
           EVP_MAC_update(context, (const unsigned char *)body.data, body.length) == 1 &&
           EVP_MAC_final(context, mac, &written, MAC_LENGTH) == 1 && written == MAC_LENGTH;
}

/* ---- the header */

/* A digit's value and 1; 0: no lower-case hexadecimal digit. A table, because branches on random digits are guessed
 * wrong every other time. */
static const unsigned char hex_digits[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static bool decode_hex(struct text text, unsigned char mac[MAC_LENGTH])
{
    if (text.length != HEX_LENGTH) {
        return false;
    }
    bool valid = true;
    for (size_t i = 0; i < MAC_LENGTH; i++) {
        unsigned high = hex_digits[(unsigned char)text.data[2 * i]];
        unsigned low = hex_digits[(unsigned char)text.data[2 * i + 1]];
        valid = valid && high != 0 && low != 0;
        mac[i] = (unsigned char)((high - 1) * 16 + (low - 1));
    }
    return valid;
}

static bool read_timestamp(struct text value, bool already, struct claim *claim)
{
    uint64_t number;
    if (already || value.length > 19 || text_to_unsigned(value, INT64_MAX, &number) < 0) {
        return false;
    }
    claim->timestamp = (int64_t)number;
    return true;
}

/* False when the header is malformed. */
static bool read_header(struct text header, struct claim *claim)
{
    bool has_timestamp = false;
    claim->timestamp = 0;
    claim->count = 0;
    while (header.data) {
        struct text value = text_cut(&header, ',');
        struct text name = text_cut(&value, '=');
        if (text_equal(name, TEXT("t"))) {
            if (!read_timestamp(value, has_timestamp, claim)) {
                return false;
            }
            has_timestamp = true;
        } else if (text_equal(name, TEXT("v1"))) {
            if (claim->count == SIGNATURE_CANDIDATES_MAXIMUM) {
                return false;
            }
            claim->count += decode_hex(value, claim->candidates[claim->count]) ? 1 : 0;
        }
    }
    return has_timestamp && claim->count > 0;
}

/* ---- verifying and signing */

/* Compares every secret with every candidate, without stopping at a match: the time taken tells nothing. */
static bool matches(struct signature_keys *keys, const struct claim *claim, struct text body, size_t *key)
{
    bool found = false;
    for (size_t i = 0; i < keys->count; i++) {
        unsigned char mac[MAC_LENGTH];
        bool computed = compute(keys->contexts[i], claim->timestamp, body, mac);
        for (size_t j = 0; j < claim->count; j++) {
            if (computed && CRYPTO_memcmp(mac, claim->candidates[j], MAC_LENGTH) == 0) {
                *key = found ? *key : i;
                found = true;
            }
        }
        OPENSSL_cleanse(mac, sizeof(mac));
    }
    return found;
}

enum signature_verdict signature_verify(struct signature_keys *keys, struct text header, struct text body, int64_t now,
                                        int64_t tolerance, struct signature_result *result)
{
    *result = (struct signature_result){.verdict = SIGNATURE_MISSING};
    if (header.length == 0) {
        return result->verdict;
    }
    struct claim claim;
    if (!read_header(header, &claim)) {
        result->verdict = SIGNATURE_MALFORMED;
        return result->verdict;
    }
    result->timestamp = claim.timestamp;
    result->age = now - claim.timestamp;
    if (!matches(keys, &claim, body, &result->key)) {
        result->verdict = SIGNATURE_MISMATCH;
    } else if (result->age > tolerance || result->age < -tolerance) {
        result->verdict = SIGNATURE_STALE;
    } else {
        result->verdict = SIGNATURE_VALID;
    }
    return result->verdict;
}

void signature_sign(struct signature_keys *keys, size_t key, int64_t now, struct text body, struct buffer *header)
{
    unsigned char mac[MAC_LENGTH];
    if (!compute(keys->contexts[key], now, body, mac)) {
        header->failed = true;
        return;
    }
    buffer_append_format(header, "t=%" PRId64 ",v1=", now);
    for (size_t i = 0; i < MAC_LENGTH; i++) {
        buffer_append_format(header, "%02x", mac[i]);
    }
}

const char *signature_verdict_code(enum signature_verdict verdict)
{
    static const char *const codes[SIGNATURE_VERDICTS] = {
        [SIGNATURE_MISSING] = "signature_missing",
        [SIGNATURE_MALFORMED] = "signature_malformed",
        [SIGNATURE_MISMATCH] = "signature_mismatch",
        [SIGNATURE_STALE] = "signature_stale",
    };
    return verdict < SIGNATURE_VERDICTS ? codes[verdict] : NULL;
}
