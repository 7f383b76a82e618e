#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Signing what we post, by the Standard Webhooks specification (standardwebhooks.com), so that any of its libraries can
 * verify it: HMAC-SHA256 over "ID.TIMESTAMP.BODY", in base64, behind "v1,".
 *
 * The secret is "whsec_" and the key in base64; without that prefix all of it is taken as base64.
 */

/* Appends the webhook-signature header's value. 0, -EINVAL (the secret is not base64 of at least one byte) or -ENOMEM.
 */
MUST_CHECK int standard_webhook_sign(struct text secret, struct text id, int64_t timestamp, struct text body,
                                     struct buffer *signature);
