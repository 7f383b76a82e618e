#pragma once

#include <stdbool.h>

#include "stripe/event.h"
#include "stripe/session.h"

/*
 * What an event means, given the session as it is now.
 *
 * Events arrive late, twice and out of order, so the fetched session decides and not the event: a person who has been
 * verified meanwhile gets no "please try again".
 */
enum decision {
    DECISION_ACT,        /* the session is still in the state that the event tells of: run the actions for it */
    DECISION_SUPERSEDED, /* the session has moved on; the event of the newer state acts, or has acted */
};

/* Whether events of this kind can set anything off. Those that cannot are finished without asking Stripe. */
bool decision_is_needed(enum event_kind kind);

/* `kind` is one for which decision_is_needed(). */
enum decision decision_make(enum event_kind kind, const struct session *session);
