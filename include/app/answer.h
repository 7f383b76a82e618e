#pragma once

/*
 * Every way a request to the webhook listener is answered: the one place that ties a status to the code in its body,
 * the label of its metric and the word in its log line.
 */
enum answer {
    ANSWER_QUEUED,
    ANSWER_DUPLICATE,
    ANSWER_NOT_SELECTED, /* a type that IDENTIHOOK_EVENTS leaves out */
    ANSWER_OTHER_MODE,   /* a mode that IDENTIHOOK_LIVEMODE leaves out */
    ANSWER_SIGNATURE_MISSING,
    ANSWER_SIGNATURE_MALFORMED,
    ANSWER_SIGNATURE_MISMATCH,
    ANSWER_SIGNATURE_STALE,
    ANSWER_INVALID_EVENT,
    ANSWER_NOT_FOUND,
    ANSWER_METHOD_NOT_ALLOWED,
    ANSWER_BAD_REQUEST, /* this and the next six: refused before it was a whole request, see net/http.h */
    ANSWER_VERSION_NOT_SUPPORTED,
    ANSWER_REQUEST_TIMEOUT,
    ANSWER_BODY_TOO_LARGE,
    ANSWER_URL_TOO_LONG,
    ANSWER_EXPECTATION_FAILED,
    ANSWER_HEADERS_TOO_LARGE,
    ANSWER_QUEUE_UNAVAILABLE,
    ANSWER_OVERLOADED,
    ANSWER_PAGE, /* from here on: the pages, and those who ask for sessions */
    ANSWER_PAGE_UNCHANGED,
    ANSWER_PREFLIGHT,
    ANSWER_SESSION_CREATED,
    ANSWER_SESSION_REUSED,
    ANSWER_SESSION_REDIRECT,
    ANSWER_STATUS,
    ANSWER_TOKEN_MISSING,
    ANSWER_TOKEN_INVALID,
    ANSWER_TOKEN_EXPIRED,
    ANSWER_ORIGIN_NOT_ALLOWED,
    ANSWER_UNSUPPORTED_MEDIA_TYPE,
    ANSWER_INVALID_BODY,
    ANSWER_UNKNOWN_FIELD,
    ANSWER_UNKNOWN_INTEGRATION,
    ANSWER_ALREADY_VERIFIED,
    ANSWER_VERIFICATION_PROCESSING,
    ANSWER_ATTEMPTS_EXHAUSTED,
    ANSWER_RATE_LIMITED,
    ANSWER_RECORDS_UNAVAILABLE,
    ANSWER_SESSION_BUSY,
    ANSWER_STRIPE_UNAVAILABLE,
    ANSWER_STRIPE_TIMEOUT,
    ANSWER_STRIPE_REFUSED,
    ANSWERS
};

struct answer_kind {
    const char *code;
    int status;
    const char *message; /* what the client is told; NULL: told elsewhere, or nothing to tell */
};

extern const struct answer_kind answer_kinds[ANSWERS];

/* The kind with this code; ANSWER_BAD_REQUEST when there is none. */
enum answer answer_of_code(const char *code);
