#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * What a failed check means for the person who was checked: the codes of last_error
 * (docs.stripe.com/api/identity/verification_sessions/object#identity_verification_session_object-last_error-code).
 *
 * A code is retryable when the same person may well succeed in the same session with another document, photo or device.
 * It is not when trying again cannot help or must not be urged: being under age, having declined consent, and a country
 * that Stripe does not check. Who declined, or holds a document of such a country, may be owed another way.
 */
struct error_code {
    const char *code; /* Stripe's */
    bool retryable;
    bool alternative;     /* the company's other way of identifying people is for this person */
    const char *title;    /* a heading, and a mail's subject: it tells nothing that others should not read over a
                             shoulder */
    const char *happened; /* a sentence to that person, in our words */
    const char *advice;   /* and what that person can do */
    const char *message;  /* the two together */
};

/* Never NULL: an unknown code, or NULL, gives a retryable entry with a general text and the code "unknown". */
const struct error_code *error_code_find(const char *code);

/* All of them, "unknown" last. */
extern const struct error_code error_codes[];
extern const size_t error_code_count;
