#include "core/decision.h"

bool decision_is_needed(enum event_kind kind)
{
    return kind == EVENT_VERIFIED || kind == EVENT_REQUIRES_INPUT;
}

enum decision decision_make(enum event_kind kind, const struct session *session)
{
    bool current;
    if (session->redacted) {
        current = false; /* what the actions would pass on is gone */
    } else if (kind == EVENT_VERIFIED) {
        current = session->status == SESSION_VERIFIED;
    } else {
        /* Without last_error it is as a created session is: the person has started again, or has not started. */
        current = session->status == SESSION_REQUIRES_INPUT && session->has_error;
    }
    return current ? DECISION_ACT : DECISION_SUPERSEDED;
}
