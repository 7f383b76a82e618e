#include "core/standard_webhook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* The decoded key, to be freed; its length is 0 when `text` is not base64. NULL when out of memory. */
static unsigned char *decode_key(struct text text, size_t *length)
{
    *length = 0;
    unsigned char *key = malloc(text.length + 1);
    if (!key || text.length == 0 || text.length > 4096 || text.length % 4 != 0) {
        return key;
    }
    int decoded = EVP_DecodeBlock(key, (const unsigned char *)text.data, (int)text.length);
    if (decoded > 0) {
        /* EVP_DecodeBlock counts the padding as bytes. */
        size_t padding = (size_t)(text.data[text.length - 1] == '=') + (size_t)(text.data[text.length - 2] == '=');
        *length = (size_t)decoded - padding;
    }
    return key;
}

static int append_mac(const unsigned char *key, size_t key_length, struct text message, struct buffer *signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned char encoded[64];
    unsigned mac_length = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)message.data, message.length, mac,
              &mac_length)) {
        return -ENOMEM;
    }
    int length = EVP_EncodeBlock(encoded, mac, (int)mac_length);
    buffer_append_string(signature, "v1,");
    buffer_append(signature, (struct text){.data = (const char *)encoded, .length = (size_t)length});
    return buffer_status(signature);
}

int standard_webhook_sign(struct text secret, struct text id, int64_t timestamp, struct text body,
                          struct buffer *signature)
{
    struct text prefix = TEXT("whsec_");
    if (text_starts_with(secret, prefix)) {
        secret.data += prefix.length;
        secret.length -= prefix.length;
    }
    size_t key_length;
    unsigned char *key = decode_key(secret, &key_length);
    if (!key) {
        return -ENOMEM;
    }
    struct buffer message = {0};
    buffer_append_format(&message, "%.*s.%" PRId64 ".", TEXT_ARGUMENTS(id), timestamp);
    buffer_append(&message, body);
    int status = key_length == 0 ? -EINVAL : buffer_status(&message);
    if (status == 0) {
        status = append_mac(key, key_length, buffer_text(&message), signature);
    }
    buffer_wipe(&message);
    OPENSSL_cleanse(key, secret.length + 1);
    free(key);
    return status;
}
