#include "app/answer.h"

#include <string.h>

const struct answer_kind answer_kinds[ANSWERS] = {
    [ANSWER_QUEUED] = {"queued", 200, NULL},
    [ANSWER_DUPLICATE] = {"duplicate", 200, NULL},
    [ANSWER_NOT_SELECTED] = {"not_selected", 200, NULL},
    [ANSWER_OTHER_MODE] = {"other_mode", 200, NULL},
    [ANSWER_SIGNATURE_MISSING] = {"signature_missing", 400, "the Stripe-Signature header is missing"},
    [ANSWER_SIGNATURE_MALFORMED] = {"signature_malformed", 400, "the Stripe-Signature header is not t=…,v1=…"},
    [ANSWER_SIGNATURE_MISMATCH] = {"signature_mismatch", 400,
                                   "no signature in the Stripe-Signature header is one of this endpoint's for this "
                                   "body"},
    [ANSWER_SIGNATURE_STALE] = {"signature_stale", 400, "the signature's time is too far from now"},
    [ANSWER_INVALID_EVENT] = {"invalid_event", 400, NULL},
    [ANSWER_NOT_FOUND] = {"not_found", 404, "there is nothing at this path; post events to the webhook path"},
    [ANSWER_METHOD_NOT_ALLOWED] = {"method_not_allowed", 405, "use POST"},
    [ANSWER_BAD_REQUEST] = {"bad_request", 400, NULL},
    [ANSWER_VERSION_NOT_SUPPORTED] = {"version_not_supported", 505, NULL},
    [ANSWER_REQUEST_TIMEOUT] = {"request_timeout", 408, NULL},
    [ANSWER_BODY_TOO_LARGE] = {"body_too_large", 413, NULL},
    [ANSWER_URL_TOO_LONG] = {"url_too_long", 414, NULL},
    [ANSWER_EXPECTATION_FAILED] = {"expectation_failed", 417, NULL},
    [ANSWER_HEADERS_TOO_LARGE] = {"headers_too_large", 431, NULL},
    [ANSWER_QUEUE_UNAVAILABLE] = {"queue_unavailable", 503, "the event could not be stored; send it again later"},
    [ANSWER_OVERLOADED] = {"overloaded", 503, "too many events wait to be stored; send it again later"},
    [ANSWER_PAGE] = {"page", 200, NULL},
    [ANSWER_PAGE_UNCHANGED] = {"page_unchanged", 304, NULL},
    [ANSWER_PREFLIGHT] = {"preflight", 204, NULL},
    [ANSWER_SESSION_CREATED] = {"session_created", 200, NULL},
    [ANSWER_SESSION_REUSED] = {"session_reused", 200, NULL},
    [ANSWER_SESSION_REDIRECT] = {"session_redirect", 303, NULL},
    [ANSWER_STATUS] = {"status", 200, NULL},
    [ANSWER_TOKEN_MISSING] = {"token_missing", 401, "send the user's token: Authorization: Bearer …"},
    [ANSWER_TOKEN_INVALID] = {"token_invalid", 401, NULL},
    [ANSWER_TOKEN_EXPIRED] = {"token_expired", 401, "the token has expired: get a new one"},
    [ANSWER_ORIGIN_NOT_ALLOWED] = {"origin_not_allowed", 403,
                                   "pages of this origin may not ask here; IDENTIHOOK_SESSION_ORIGINS allows them"},
    [ANSWER_UNSUPPORTED_MEDIA_TYPE] = {"unsupported_media_type", 415,
                                       "send application/json, application/x-www-form-urlencoded, or no body"},
    [ANSWER_INVALID_BODY] = {"invalid_body", 400, "the body is not what its Content-Type says, or too long"},
    [ANSWER_UNKNOWN_FIELD] = {"unknown_field", 400,
                              "the body may have integration and nothing else: the rest is configured here"},
    [ANSWER_UNKNOWN_INTEGRATION] = {"unknown_integration", 400, "integration is modal, redirect or native"},
    [ANSWER_ALREADY_VERIFIED] = {"already_verified", 409, "this user is verified"},
    [ANSWER_VERIFICATION_PROCESSING] = {"verification_processing", 409,
                                        "this user's documents are being checked; wait for the result"},
    [ANSWER_ATTEMPTS_EXHAUSTED] = {"attempts_exhausted", 429, "this user has had all attempts for now"},
    [ANSWER_RATE_LIMITED] = {"rate_limited", 429, "too many requests; ask again later"},
    [ANSWER_RECORDS_UNAVAILABLE] = {"records_unavailable", 503, "the user's record cannot be read; ask again later"},
    [ANSWER_SESSION_BUSY] = {"session_busy", 503, "a session for this user is being created; ask again"},
    [ANSWER_STRIPE_UNAVAILABLE] = {"stripe_unavailable", 503, "Stripe cannot be asked just now; ask again later"},
    [ANSWER_STRIPE_TIMEOUT] = {"stripe_timeout", 503, "Stripe did not answer in time; ask again later"},
    [ANSWER_STRIPE_REFUSED] = {"stripe_refused", 502,
                               "Stripe refuses the request; the log of identihook tells the operator why"},
};

enum answer answer_of_code(const char *code)
{
    for (enum answer answer = 0; answer < ANSWERS; answer++) {
        if (strcmp(answer_kinds[answer].code, code) == 0) {
            return answer;
        }
    }
    return ANSWER_BAD_REQUEST;
}
