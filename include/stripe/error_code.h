#pragma once

#include <stdbool.h>

/*
 * What a failed check means for the person who was checked: the codes of last_error
 * (docs.stripe.com/api/identity/verification_sessions/object#identity_verification_session_object-last_error-code).
 *
 * A code is retryable when the same person may well succeed in the same session with another document, photo or device.
 * It is not when trying again cannot help or must not be urged: being under age, having declined consent, and a country
 * that Stripe does not check.
 */
struct error_code {
    const char *code; /* Stripe's */
    bool retryable;
    const char *message; /* one or two sentences to that person, in our words */
};

/* Never NULL: an unknown code, or NULL, gives a retryable entry with a general message and the code "unknown". */
const struct error_code *error_code_find(const char *code);
