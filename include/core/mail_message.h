#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/* Who a mail is from or for. */
struct mailbox {
    struct text name;    /* without quotes, UTF-8; empty: none */
    struct text address; /* bare, its domain in ASCII (net/mail_domain.h) */
};

/*
 * A mail as it goes over SMTP: headers and a multipart/alternative body (RFC 5322, RFC 2045, RFC 2046), lines ending in
 * CRLF and no longer than 78 characters, but for addresses.
 *
 * Everything is in ASCII, except an address whose local part is not: that one stands in its header as it is (RFC 6532),
 * and the mail can only go to a server that offers SMTPUTF8.
 */
struct mail_message {
    struct mailbox from;
    struct mailbox to;
    struct mailbox reply_to; /* no address: no such header */
    struct text event;       /* the event's id, from which the Message-ID is made */
    struct text subject;     /* UTF-8 */
    struct text plain;       /* UTF-8, lines end with \n */
    struct text html;
    int64_t date; /* seconds since 1970 */
};

/* Appends the whole mail. Its Message-ID is <EVENT.email@HOST>, HOST being the sender's: the same for each try. 0,
 * -EINVAL (an address is not one) or -ENOMEM. */
MUST_CHECK int mail_message_write(const struct mail_message *message, struct buffer *out);
