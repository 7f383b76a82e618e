#pragma once

#include "base/attributes.h"
#include "base/text.h"

/*
 * A secret value: a signing secret, an API key, a password. Its memory is overwritten when it goes, and nothing in
 * identihook prints one. {0} is "not set".
 */
struct secret {
    char *data; /* NUL-terminated; NULL: not set */
    size_t length;
};

/* Replaces the value with a copy of `value`. 0 or -ENOMEM, which leaves it not set. */
MUST_CHECK int secret_set(struct secret *secret, struct text value);

static inline bool secret_is_set(const struct secret *secret)
{
    return secret->data != NULL;
}

/* Lends the bytes to whoever must send or hash them. Never log them. */
struct text secret_reveal(const struct secret *secret);

/* Overwrites and frees; it is "not set" afterwards. Twice is fine. */
void secret_clear(struct secret *secret);
