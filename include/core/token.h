#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/secret.h"
#include "base/text.h"

/*
 * The token with which an application tells who its user is: a JSON Web Token (RFC 7519), signed with HS256 and nothing
 * else, that ends (exp). jwt_library_open() has run.
 */
#define TOKEN_MAXIMUM 4096     /* bytes of a token */
#define TOKEN_USER_MAXIMUM 200 /* bytes of a user id: what Stripe takes as client_reference_id */
#define TOKEN_EMAIL_MAXIMUM 254

/* What tokens are signed with: any of several secrets, while they are rotated. */
struct token_keys;

/* Copies the secrets. 0 or -ENOMEM. */
MUST_CHECK int token_keys_create(const struct secret *secrets, size_t count, struct token_keys **keys);

/* Overwrites them. NULL is fine. */
void token_keys_free(struct token_keys *keys);

struct token_rules {
    const struct token_keys *keys;
    const char *audience; /* NULL: aud is not looked at */
    const char *issuer;   /* NULL: iss is not looked at */
    int64_t leeway_s;     /* for exp and nbf */
};

struct token {
    char user[TOKEN_USER_MAXIMUM + 1];   /* sub */
    char email[TOKEN_EMAIL_MAXIMUM + 1]; /* "" when there is none; personal data */
};

enum token_verdict {
    TOKEN_VALID,
    TOKEN_MALFORMED, /* no JWT, or longer than TOKEN_MAXIMUM */
    TOKEN_ALGORITHM, /* another algorithm than HS256, or extensions that must be understood (crit) */
    TOKEN_SIGNATURE,
    TOKEN_EXPIRED,
    TOKEN_TIMELESS, /* no exp, or exp or nbf that is no number */
    TOKEN_EARLY,    /* nbf is to come */
    TOKEN_AUDIENCE,
    TOKEN_ISSUER,
    TOKEN_SUBJECT, /* sub is missing, no string, longer than TOKEN_USER_MAXIMUM or has control characters in it */
    TOKEN_EMAIL,   /* email is there, and no address */
    TOKEN_VERDICTS
};

/* What is wrong, as a whole sentence for whoever made the token. Nothing of the token is in it. */
const char *token_verdict_message(enum token_verdict verdict);

/* Checks `text` at the time `now` (seconds since 1970). 0, a verdict (then *token is as it was), or -ENOMEM. */
MUST_CHECK int token_verify(const struct token_rules *rules, struct text text, int64_t now, struct token *token);

/* Overwrites it. */
void token_clear(struct token *token);
