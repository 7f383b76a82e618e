#pragma once

#include <stdint.h>

#include "app/access_log.h"
#include "app/answer.h"
#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "net/conn.h"

/*
 * How everyone behind the webhook listener replies: counted, logged where that is asked for, and errors in one shape.
 * One per loop.
 */
struct replies;

/* The settings and the telemetry outlive it. 0 or -ENOMEM. */
MUST_CHECK int replies_create(const struct settings *settings, struct telemetry *telemetry, struct replies **replies);

/* NULL is fine. */
void replies_free(struct replies *replies);

struct reply {
    enum answer answer;
    struct text event; /* the event's id, for the log; {NULL, 0}: none */
    uint64_t
        duration_ns;     /* from the whole request to now, for the figures of the webhook; 0: not to be counted there */
    const char *message; /* of an error, in the place of its kind's own; NULL: that */
    struct text body;    /* of what is no error */
    const char *content_type;
    const char *allow;
    struct text headers;    /* further ones, as struct http_answer has them */
    unsigned retry_after_s; /* 0: what is usual for the status */
};

/* Replies to the request at hand, which has its answer then: the connection may be gone. */
void reply_give(const struct replies *replies, struct conn *conn, const struct reply *reply);

/* Counts and logs a reply whose client has gone, or that others give. */
void reply_note(const struct replies *replies, struct conn *conn, const struct reply *reply);
