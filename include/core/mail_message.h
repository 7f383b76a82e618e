#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * A mail as it goes over SMTP: headers and a multipart/alternative body (RFC 5322, RFC 2045, RFC 2046), lines ending in
 * CRLF.
 */
struct mail_message {
    struct text from;    /* "Example <identity@example.com>" or a bare address */
    struct text to;      /* a bare address */
    struct text event;   /* the event's id, from which the Message-ID is made */
    const char *subject; /* ASCII */
    struct text plain;   /* UTF-8, lines end with \n */
    struct text html;
    int64_t date; /* seconds since 1970 */
};

/* Appends the whole mail. Its Message-ID is <EVENT.email@HOST>, HOST being the sender's: the same for each try. 0,
 * -EINVAL (an address is not one) or -ENOMEM. */
MUST_CHECK int mail_message_write(const struct mail_message *message, struct buffer *out);
