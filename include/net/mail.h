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
 * bounded mailbox, results come back to the loop of whoever sent. Each thread keeps its connection for the next mail,
 * for a while: so many mails are under way at once as there are threads, each on a connection of its own. (On one
 * connection libcurl awaits each answer before the next command; it has no command pipelining, RFC 2920.)
 * curl_library_open() has run, and SIGPIPE is ignored.
 *
 * TLS. smtps:// and STARTTLS that is required check the server's certificate and name. STARTTLS that is used only
 * because the server offers it (the default) encrypts without checking who the server is, as mail servers do among
 * themselves (RFC 7435, opportunistic security): whoever could show a false certificate could as well hide the offer,
 * and to refuse a self-signed relay would only lead to mails in clear text. It protects against listening, not against
 * an active attacker: a login over an untrusted network wants smtps:// or MAIL_TLS_REQUIRED. A login is never sent
 * without TLS, unless that is asked for or it stays on this machine (cleartext_login): a server that offers none gets
 * neither the login nor the mail.
 */
struct mailer;
struct mail_outlet;

enum mail_tls { MAIL_TLS_WHEN_OFFERED, MAIL_TLS_REQUIRED, MAIL_TLS_OFF };

#define MAIL_THREADS_MAXIMUM 64

/* All of it outlives the mailer. */
struct mailer_options {
    const char *url; /* smtp://host:587 or smtps://host */
    enum mail_tls tls;
    const char *username; /* NULL: no login */
    const struct secret *password;
    bool cleartext_login; /* the login may go without TLS */
    const char *ca_file;  /* authorities (PEM) to trust instead of the system's, or NULL */
    uint64_t timeout_ms;  /* for one mail */
    uint64_t keep_ms;     /* how long an idle connection is kept for the next mail; 0: 10 s */
    size_t threads;       /* 1 to 16 */
    size_t mailbox;       /* mails that may wait */
};

/* Starts the threads. 0, -ENOMEM, or why a thread could not be started. */
MUST_CHECK int mailer_start(const struct mailer_options *options, struct mailer **mailer);

/*
 * From any thread, as often as one likes: connections are cut, now and in the future. So within about a second (the
 * time to notice while a name is looked up) each mail has its result: those that wait and those under way are
 * TRANSIENT, those handed over whole and not yet answered UNKNOWN.
 */
void mailer_abort(struct mailer *mailer);

/* Aborts, and waits for the threads: about a second at most. All outlets are closed before. NULL is fine. */
void mailer_stop(struct mailer *mailer);

/* One per loop: where results come out. 0, -ENOMEM or a UV_E*. */
MUST_CHECK int mail_outlet_open(struct mailer *mailer, uv_loop_t *loop, struct mail_outlet **outlet);

/* No mail of this outlet may be under way: abort the mailer and await the results first. `closed` runs when nothing is
 * left on the loop. May be called from a mail's callback. */
void mail_outlet_close(struct mail_outlet *outlet, void (*closed)(void *context), void *context);

/* Takes back a mail, by its callback's context, that no thread has begun: true, and its callback will not run. */
bool mail_withdraw(struct mail_outlet *outlet, const void *context);

/*
 * Mails of this outlet may be begun until then (clock_monotonic_ms()), or until a later call says more. One that a
 * thread comes to only after that comes back TRANSIENT, and the server has not heard of it: whoever sent it may have
 * lost the right to, while the process stood still. Before the first call there is no such bound. From any thread.
 */
void mail_outlet_vouch(struct mail_outlet *outlet, uint64_t until_ms);

/*
 * The server's code decides: 2xx at the end sent, 4xx transient, 5xx permanent. With two exceptions, where the fault is
 * the operator's or the server's and every mail would meet it: a refused login and a refused session (greeting, EHLO,
 * STARTTLS) are transient, so that a wrong password does not bury what comes in until somebody notices.
 *
 * No code: transient before the whole mail was handed over, unknown after.
 */
enum mail_outcome {
    MAIL_SENT,
    MAIL_TRANSIENT, /* not sent; may pass */
    MAIL_PERMANENT, /* the server refuses it for good */
    MAIL_UNKNOWN,   /* the connection was lost, or time ran out, after the whole mail was handed over and before the
                       server answered: it may arrive */
};

struct mail_result {
    enum mail_outcome outcome;
    int code;        /* the server's answer to the last step; 0: there was none */
    char error[360]; /* what happened, what to do, and the server's words; no person is named in it; "" when SENT */
};

/* Looks, blocking, whether mails could be sent: connects, goes over to TLS and logs in. SENT: they could. */
void mail_try(const struct mailer_options *options, struct mail_result *result);

struct mail {
    struct text from; /* bare addresses */
    struct text to;
    struct text message; /* headers and body, lines end in CRLF */
};

/* `result` is lent until it returns. */
typedef void mail_callback(void *context, const struct mail_result *result);

/*
 * Copies the mail and queues it. 0: the callback will run exactly once, on the outlet's loop, later. -EAGAIN: the
 * mailbox is full; -EINVAL: an address that is empty, longer than SMTP allows (254 bytes) or has blanks, brackets or
 * control characters, which could smuggle in commands; -ENOMEM. Then there is no callback.
 */
MUST_CHECK int mail_send(struct mail_outlet *outlet, const struct mail *mail, mail_callback *callback, void *context);
