#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/settings.h"
#include "base/text.h"
#include "stripe/session.h"

/*
 * A verification session from the other end: how it is asked for, and what a client gets of it to go through it. The
 * client secret, the URL and an ephemeral key's secret are each good for one person to get in once; they are held no
 * longer than it takes to pass them on.
 */

/* Who is to be verified. */
struct ticket_holder {
    const char *user;  /* becomes client_reference_id and metadata[user_id] */
    const char *email; /* "" or NULL: none */
};

/* What a session that was made here has in metadata[created_by]. */
#define TICKET_CREATED_BY "identihook"

/* Appends the body of POST /v1/identity/verification_sessions. */
void ticket_form(const struct session_settings *settings, const struct ticket_holder *holder, struct buffer *form);

#define TICKET_ID_SIZE 256

struct ticket {
    char id[TICKET_ID_SIZE];
    enum session_status status;
    bool redacted;
    char *client_secret; /* these two NULL when Stripe sent none */
    char *url;
};

#define TICKET_NOT_ONE 1

/* Reads a session that was created or retrieved. 0, TICKET_NOT_ONE (not a session's JSON) or -ENOMEM. *ticket is to be
 * cleared in every case. */
MUST_CHECK int ticket_parse(struct text body, struct ticket *ticket);

/* Overwrites the secrets. {0} is fine, and so is twice. */
void ticket_clear(struct ticket *ticket);

/* Reads an ephemeral key. The same codes; *secret is to be overwritten and freed, and NULL unless 0. */
MUST_CHECK int ticket_parse_key(struct text body, char **secret);
