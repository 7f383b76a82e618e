#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"
#include "stripe/session.h"

/*
 * The update that the onboarding service gets: one JSON object, posted.
 *
 *   {"type":"identity.verified","event":"evt_…","session":"vs_…","user":"…",
 *    "user_source":"client_reference_id"|"metadata"|null,"user_trusted":true,"status":"verified","livemode":true,
 *    "created":1793268000,"reason":{"code":"…","retryable":true,"message":"…"}|null,"verified_outputs":{…}|null}
 *
 * "user_trusted" is false for a user that whoever opened a static link may have chosen: see stripe/session.h.
 */
struct onboarding_update {
    struct text event;
    const char *type; /* "verified" or "requires_input": becomes identity.TYPE */
    int64_t created;  /* the event's */
    bool livemode;
    const struct session *session;
};

/* Appends the JSON. 0 or -ENOMEM. */
MUST_CHECK int onboarding_write(const struct onboarding_update *update, struct buffer *out);
