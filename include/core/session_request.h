#pragma once

#include "base/attributes.h"
#include "base/settings.h"
#include "base/text.h"

/*
 * What a client may say when it asks for a session: which integration it is, and nothing else. What is verified and how
 * is not the browser's to choose.
 *
 * The body is JSON, a form, or empty. A form may also carry the token, as access_token (RFC 6750 section 2.2), for a
 * page's form cannot send a header.
 */
struct session_request {
    bool named; /* it names an integration; otherwise the configured one is meant */
    enum integration integration;
    bool is_form;
    char *token; /* access_token, decoded; NULL: none. To be freed with session_request_clear() */
};

enum session_request_fault {
    SESSION_REQUEST_FINE,
    SESSION_REQUEST_MEDIA,       /* neither application/json nor application/x-www-form-urlencoded */
    SESSION_REQUEST_MALFORMED,   /* not what its Content-Type says, or longer than 8 KB */
    SESSION_REQUEST_FIELD,       /* a field that is not known, or twice */
    SESSION_REQUEST_INTEGRATION, /* none of the three */
};

/* `content_type` is the header's value, empty when there is none. 0, a fault, or -ENOMEM. */
MUST_CHECK int session_request_parse(struct text content_type, struct text body, struct session_request *request);

/* Overwrites the token. Twice is fine. */
void session_request_clear(struct session_request *request);
