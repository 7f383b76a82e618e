#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/secret.h"
#include "base/text.h"

/*
 * Sending mail over SMTP. libcurl's SMTP blocks its caller, so it runs on threads of its own: mails go in through a
 * bounded mailbox, results come back to the loop of whoever sent.
 *
 * TLS: smtps:// is checked against the system's authorities, and so is STARTTLS when it is required. STARTTLS that is
 * used only because the server offers it (the default) encrypts without checking who the server is: it protects against
 * listening, not against an active attacker, who could just as well hide the offer (RFC 7435, opportunistic security).
 */
struct mailer;
struct mail_outlet;

enum mail_tls { MAIL_TLS_WHEN_OFFERED, MAIL_TLS_REQUIRED, MAIL_TLS_OFF };

struct mailer_options {
    const char *url; /* smtp://host:587 or smtps://host; this and the others outlive the mailer */
    enum mail_tls tls;
    const char *username; /* NULL: no login */
    const struct secret *password;
    const char *ca_file; /* NULL: the system's authorities */
    uint64_t timeout_ms; /* for one mail */
    size_t threads;
    size_t mailbox; /* mails that may wait */
};

MUST_CHECK int mailer_start(const struct mailer_options *options, struct mailer **mailer);

/* From any thread: mails that wait are reported TRANSIENT, and those under way are broken off within about a second. */
void mailer_abort(struct mailer *mailer);

/* Aborts, and waits for the threads. All outlets are closed before. NULL is fine. */
void mailer_stop(struct mailer *mailer);

/* One per loop: where results come out. */
MUST_CHECK int mail_outlet_open(struct mailer *mailer, uv_loop_t *loop, struct mail_outlet **outlet);

/* No mail of this outlet may be under way. `closed` runs when nothing is left on the loop. */
void mail_outlet_close(struct mail_outlet *outlet, void (*closed)(void *context), void *context);

enum mail_outcome {
    MAIL_SENT,
    MAIL_TRANSIENT, /* not sent; may pass */
    MAIL_PERMANENT, /* the server refuses it for good */
    MAIL_UNKNOWN,   /* the connection was lost after the whole mail was handed over and before the server answered */
};

struct mail_result {
    enum mail_outcome outcome;
    int code;        /* the server's last SMTP code; 0: there was none */
    char error[200]; /* what happened and what to do; no address is in it */
};

struct mail {
    struct text from; /* bare addresses */
    struct text to;
    struct text message; /* headers and body, lines end in CRLF */
};

typedef void mail_callback(void *context, const struct mail_result *result);

/* Copies the mail and queues it. 0: the callback will run exactly once, on the outlet's loop, later. -EAGAIN: the
 * mailbox is full; -ENOMEM. */
MUST_CHECK int mail_send(struct mail_outlet *outlet, const struct mail *mail, mail_callback *callback, void *context);
