#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/crypto.h>

int secret_set(struct secret *secret, struct text value)
{
    secret_clear(secret);
    secret->data = text_copy(value);
    if (!secret->data) {
        return -ENOMEM;
    }
    secret->length = value.length;
    return 0;
}

struct text secret_reveal(const struct secret *secret)
{
    return (struct text){.data = secret->data, .length = secret->length};
}

void secret_clear(struct secret *secret)
{
    if (secret->data) {
        OPENSSL_cleanse(secret->data, secret->length);
        free(secret->data);
    }
    *secret = (struct secret){0};
}
