#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Reading from Stripe's API, sessions and the list of events: what to ask and how to take the answer. Who carries the
 * bytes is not known here.
 */

/*
 * Appends the URL of GET /v1/identity/verification_sessions/ID at `base` ("https://api.stripe.com"): provided_details
 * is expanded always, verified_outputs and its sensitive fields where `outputs` (bits of enum verified_output) has any.
 * 0, or -EINVAL when `session` is no session's id: then nothing is appended.
 */
MUST_CHECK int api_session_url(struct text base, struct text session, unsigned outputs, struct buffer *url);

/* Which events to list. */
struct api_events_query {
    unsigned kinds;       /* bits of enum event_kind; the identity kinds only, at least one */
    int64_t created_from; /* seconds since 1970; Stripe keeps events for 30 days */
    bool undelivered;     /* only those that Stripe has not delivered, or not yet, to all of its endpoints */
    struct text after;    /* the id behind which the page begins: older ones; empty: the newest ones */
};

/* Appends the URL of GET /v1/events, a page of EVENT_LIST_MAXIMUM at most. */
void api_events_url(struct text base, const struct api_events_query *query, struct buffer *url);

/* What was asked for: the advice differs. */
enum api_subject { API_SESSION, API_EVENTS };

/* An answer, or the lack of one. Texts that are absent are empty. */
struct api_reply {
    enum api_subject subject;
    bool key_is_live;              /* SESSION: the key is one of live mode, */
    bool event_is_live;            /*          and so is the event */
    bool of_account;               /* the session is a connected account's */
    bool is_late;                  /* sensitive results were asked for after API_SENSITIVE_HOURS */
    int status;                    /* HTTP status; 0: there was no complete answer */
    bool timed_out;                /* with status 0: for want of time, not for a broken or refused connection */
    struct text retry_after;       /* Retry-After */
    struct text should_retry;      /* Stripe-Should-Retry */
    struct text request_id;        /* Request-Id */
    struct text rate_limit_reason; /* Stripe-Rate-Limited-Reason */
    struct text body;
};

enum api_outcome { API_OK, API_TRANSIENT, API_PERMANENT };

/* What a failure says about other requests. */
enum api_scope {
    API_SCOPE_REQUEST, /* nothing: it is about this one */
    API_SCOPE_RATE,    /* all of them together come too fast */
    API_SCOPE_SERVICE, /* they will fail, too: Stripe, or the way there, is down */
    API_SCOPE_KEY,     /* they will be refused, too: the key or the configuration is wrong */
};

struct api_verdict {
    enum api_outcome outcome;
    enum api_scope scope;    /* unless OK */
    const char *reason;      /* a constant: "stripe_rate_limited", "session_not_found" … */
    char error[400];         /* what happened and what to do, for the operator; nothing personal in it */
    uint64_t retry_after_ms; /* TRANSIENT: not before; 0 when Stripe named no time */
};

/*
 * Judges an answer by the rules of Stripe's libraries: Stripe-Should-Retry decides where it is given, except that 429
 * always passes by itself, a limit of the rate (Stripe-Rate-Limited-Reason) as well as a lock (lock_timeout); no
 * answer, 408, 409, 425, 429 and 5xx may pass; 400, 401, 403, 404 and other 4xx stay as they are until somebody acts.
 */
void api_judge(const struct api_reply *reply, struct api_verdict *verdict);

/* The delay that a Retry-After header asks for, in ms: whole seconds only (RFC 9110 section 10.2.3), at most a day. 0:
 * none. */
uint64_t api_retry_after_ms(struct text header);

/* So long after its check a plain restricted key may read a session's sensitive results
 * (docs.stripe.com/identity/access-verification-results); one that is held to IP addresses may read them for ever. */
#define API_SENSITIVE_HOURS 48

/* Whether a key is one of live mode: what it reads is counted and limited apart from test mode. */
bool api_key_is_live(struct text key);
