#pragma once

#include <stdbool.h>

#include "app/answer.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "core/token.h"
#include "net/conn.h"
#include "store/pace.h"
#include "store/user.h"

/*
 * Who asks for a session or for a status: the user that the token names, the page that asks, the address that it comes
 * from.
 */
struct visitor {
    struct token token;
    char hash[USER_HASH_SIZE]; /* the user's name in the records */
    char address[33];          /* a hash of the address, or of its network; "" when there is none */
    const char *origin;        /* of a page elsewhere that may read the answer; the settings'. NULL: ours, or no page */
};

/*
 * Looks at the page that asks: true when it may. *origin becomes the settings' own text of it when it is another one
 * than ours.
 */
MUST_CHECK bool visitor_may_come(const struct session_settings *settings, const struct http_request *request,
                                 const char **origin);

struct visitor_refusal {
    enum answer answer;
    const char *message; /* NULL: the answer's own */
};

struct visitor_rules {
    const struct session_settings *settings;
    const struct token_keys *keys;
};

struct visitor_call {
    const struct conn *conn;
    const struct http_request *request;
    const char *form_token; /* looked at when there is no Authorization header; may be NULL */
};

/*
 * Reads the token, and where the visitor comes from. False: *refusal says how to answer. visitor->origin stays as it
 * is. The visitor is to be cleared in every case.
 */
MUST_CHECK bool visitor_read(const struct visitor_rules *rules, const struct visitor_call *call,
                             struct visitor *visitor, struct visitor_refusal *refusal);

/* Overwrites what is personal. */
void visitor_clear(struct visitor *visitor);

/* Appends the headers that every answer to a visitor has, for `answer`. */
void visitor_headers(const char *origin, enum answer answer, struct buffer *headers);
