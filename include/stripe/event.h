#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * A snapshot event as Stripe posts it (docs.stripe.com/api/events/object), as far as identihook needs it.
 */
enum event_kind {
    /* identity.verification_session.* : the complete list. The order is that of IDENTIHOOK_EVENTS. */
    EVENT_CREATED,
    EVENT_PROCESSING,
    EVENT_VERIFIED,
    EVENT_REQUIRES_INPUT,
    EVENT_CANCELED,
    EVENT_REDACTED,
    EVENT_OTHER, /* any other type */
    EVENT_KINDS  /* how many there are */
};

#define EVENT_ID_MAXIMUM 255 /* bytes in an id or a type */

struct event {
    struct text id;          /* evt_… */
    struct text type;        /* identity.verification_session.verified */
    struct text session;     /* data.object.id; vs_… for the identity kinds */
    struct text account;     /* acct_… of a Connect event, else empty */
    struct text api_version; /* may be empty */
    int64_t created;         /* seconds since 1970; 0 when the event has none */
    bool livemode;
    enum event_kind kind;
};

#define EVENT_INVALID 1

/*
 * Reads an event from a request's body; the texts borrow from it. The whole body must be valid JSON (see json_scan.h).
 *
 * Ids and the type go into Redis keys, URLs and logs, so they are held to a narrow alphabet: letters, digits, '_', '-'
 * and
 * '.', at most EVENT_ID_MAXIMUM bytes. 0, or EVENT_INVALID: then *why says what is wrong, as a whole sentence for
 * whoever sent it, without anything from the body.
 */
MUST_CHECK int event_parse(struct text body, struct event *event, const char **why);

/* The short name of an identity event: "verified"; "other" for EVENT_OTHER. */
const char *event_kind_name(enum event_kind kind);

/* The kind that a full type or a short name stands for, EVENT_OTHER when none. */
enum event_kind event_kind_of(struct text type);

/* Whether `id` can be an event's: of that alphabet, and not longer. */
bool event_is_id(struct text id);

/* Whether `id` is a session's id: vs_ and letters, digits, '_' and '-', which a URL takes as they are; nothing else
 * must get into one. */
bool event_is_session_id(struct text id);

#define EVENT_TYPE_PREFIX "identity.verification_session."
