#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Stripe's webhook signatures (docs.stripe.com/webhooks, "Verify webhook signatures manually").
 *
 *   Stripe-Signature: t=1793268500,v1=64 hex digits[,v1=…][,v0=…]
 *
 * v1 is HMAC-SHA256 over "T.BODY" with the whole secret string ("whsec_…", nothing decoded) as the key.
 *
 * The rule is the strict common part of Stripe's official libraries: items are split at ',' and at their first '=';
 * there is exactly one t, of 1 to 19 digits; v1 items that are not 64 lower-case hexadecimal digits are passed over,
 * and so is every other scheme (v0 is a decoy); one matching v1 is enough; then the time is checked. Unlike most of the
 * libraries, a time further in the future than the tolerance is stale too.
 */

/* The configured secrets, keyed once. Not to be used by two threads at a time: make one object for each. */
struct signature_keys;

#define SIGNATURE_CANDIDATES_MAXIMUM 128 /* v1 items in one header; more is malformed */

enum signature_verdict {
    SIGNATURE_VALID,
    SIGNATURE_MISSING,   /* no header, or an empty one */
    SIGNATURE_MALFORMED, /* not t=…,v1=… */
    SIGNATURE_MISMATCH,  /* no secret made any of its v1 */
    SIGNATURE_STALE,     /* it matches, but its time is further from now than the tolerance */
    SIGNATURE_VERDICTS   /* how many there are */
};

struct signature_result {
    enum signature_verdict verdict;
    int64_t timestamp; /* t, seconds since 1970; 0 while unknown */
    int64_t age;       /* now - t, seconds; negative: in the future */
    size_t key;        /* which secret matched; only when VALID or STALE */
};

/* Keeps keyed copies of `secrets`; an empty secret is refused with -EINVAL. 0, -EINVAL or -ENOMEM. */
MUST_CHECK int signature_keys_create(const struct text *secrets, size_t count, struct signature_keys **keys);

/* Overwrites the keys. NULL is fine. */
void signature_keys_free(struct signature_keys *keys);

/*
 * Judges the raw `body` as it came by its `header` ({NULL, 0}: there was none). `now` and `tolerance` are seconds;
 * `tolerance` is at least 1. Every secret is tried against every v1 in constant time. Returns result->verdict.
 */
enum signature_verdict signature_verify(struct signature_keys *keys, struct text header, struct text body, int64_t now,
                                        int64_t tolerance, struct signature_result *result);

/* Appends the header's value for `body`, signed with secret number `key` at time `now`. */
void signature_sign(struct signature_keys *keys, size_t key, int64_t now, struct text body, struct buffer *header);

/* "signature_missing" …: the error code of an answer; NULL for SIGNATURE_VALID. */
const char *signature_verdict_code(enum signature_verdict verdict);
