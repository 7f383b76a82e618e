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
