#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * A verification session as Stripe's API returns it
 * (docs.stripe.com/api/identity/verification_sessions/object), as far as identihook needs it.
 */
enum session_status { SESSION_REQUIRES_INPUT, SESSION_PROCESSING, SESSION_VERIFIED, SESSION_CANCELED, SESSION_UNKNOWN };

/* The status that Stripe's word stands for; SESSION_UNKNOWN when it is a new one. */
enum session_status session_status_of(const char *text);

/* The fields of verified_outputs, in the order of IDENTIHOOK_VERIFIED_OUTPUTS; bit N of a set stands for field N. */
enum verified_output {
    OUTPUT_FIRST_NAME,
    OUTPUT_LAST_NAME,
    OUTPUT_DOB,
    OUTPUT_ADDRESS,
    OUTPUT_ID_NUMBER,
    OUTPUT_ID_NUMBER_TYPE,
    OUTPUT_EMAIL,
    OUTPUT_PHONE,
    OUTPUT_SEX,
    OUTPUTS
};

/* "first_name" … */
const char *verified_output_name(enum verified_output output);

/* Stripe returns this one only where it is named in expand[]. */
bool verified_output_is_sensitive(enum verified_output output);

/* Whether a set has one of those. */
bool session_has_sensitive(unsigned outputs);

struct session {
    char *id;
    enum session_status status;
    char *status_text; /* Stripe's word */
    bool livemode;
    bool redacted;           /* the personal data is gone */
    bool has_error;          /* last_error is an object: a check has failed */
    char *error_code;        /* last_error.code, or NULL */
    char *user;              /* client_reference_id, else metadata.user_id, else NULL */
    const char *user_source; /* which of them: "client_reference_id" or "metadata"; NULL without a user */
    bool from_link;          /* of a verification flow, and without metadata: made, as far as can be told, by whoever
                                opened the flow's static link, who chose client_reference_id and the e-mail address */
    char *email;             /* provided_details.email, else verified_outputs.email, else NULL; personal data. For one
                                from a link the other way round: what was verified is the person's own */
    json_t *metadata;        /* what the application put there, or NULL */
    json_t *outputs;         /* the chosen fields of verified_outputs that are there, or NULL; personal data */
};

#define SESSION_NOT_ONE 1

/*
 * Reads a session; `outputs` is the set of fields to keep. 0, SESSION_NOT_ONE (not a verification session's JSON) or
 * -ENOMEM. *session is the caller's, and NULL unless 0.
 */
MUST_CHECK int session_parse(struct text body, unsigned outputs, struct session **session);

/* Whether the application has said which user it is, and not whoever opened a link; false without a user. */
bool session_user_is_trusted(const struct session *session);

/* The string of that name in the metadata, borrowed; NULL when there is none. */
const char *session_metadata(const struct session *session, const char *name);

/* Overwrites what is personal, then frees. NULL is fine. */
void session_free(struct session *session);
