#pragma once

#include <stdint.h>

#include "base/text.h"
#include "stripe/signature.h"

/*
 * Why a signature does not hold, and what to do about it, in words for the person who runs the endpoint.
 *
 * A refusal alone does not tell a wrong secret from a body that a proxy has changed. So after a mismatch the usual
 * changes are undone one by one and the signature is tried again: each that then holds names its cause. That costs some
 * HMACs more: call it seldom, never for each refused request.
 */
enum signature_cause {
    SIGNATURE_CAUSE_NONE,             /* the signature is valid */
    SIGNATURE_CAUSE_HEADER_MISSING,   /* no Stripe-Signature header: not Stripe, or a proxy dropped it */
    SIGNATURE_CAUSE_HEADER_MALFORMED, /* not "t=…,v1=…" */
    SIGNATURE_CAUSE_CLOCK_AHEAD,      /* signed longer ago than the tolerance: our clock is ahead, or an old request */
    SIGNATURE_CAUSE_CLOCK_BEHIND,     /* signed in our future */
    SIGNATURE_CAUSE_BODY_ALTERED,     /* holds after a known change to the body is undone, or the body shows one */
    SIGNATURE_CAUSE_SECRET,           /* most likely signed with a secret that is not configured */
    SIGNATURE_CAUSES                  /* how many there are */
};

struct signature_help {
    enum signature_cause cause;
    char message[400]; /* one or two sentences; no byte of the body, the header's signatures or a secret is in them */
};

/* The word for `cause` in metrics and logs: "header_missing", "clock_ahead", "body_altered", "secret" … */
const char *signature_cause_name(enum signature_cause cause);

/*
 * Explains `result`, which signature_verify() made of the same keys, header and body. `tolerance` is the one it was
 * given, in seconds.
 */
void signature_explain(struct signature_keys *keys, struct text header, struct text body,
                       const struct signature_result *result, int64_t tolerance, struct signature_help *help);
