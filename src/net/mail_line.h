#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "net/mail.h"

/*
 * The line of one thread to the SMTP server: sends one mail at a time, blocking, and keeps its connection for the next.
 * All of it is for that thread, except mail_line_cut().
 */
struct mail_line;

/* 0 or -ENOMEM. */
MUST_CHECK int mail_line_open(const struct mailer_options *options, struct mail_line **line);

/* Hangs up. No other thread uses it any more. NULL is fine. */
void mail_line_free(struct mail_line *line);

struct mail_line_letter {
    const char *from; /* "<address>" */
    const char *to;
    struct text message;
};

/* Sends it, once more on a new connection if a kept one turns out to be dead. */
void mail_line_send(struct mail_line *line, const struct mail_line_letter *letter, struct mail_result *result);

/* Connects, goes over to TLS and logs in as for a mail, and sends none. SENT: a mail could be sent. */
void mail_line_try(struct mail_line *line, struct mail_result *result);

/* A connection is kept. */
bool mail_line_is_up(struct mail_line *line);

/* Says QUIT and closes the kept connection, without waiting for the server. */
void mail_line_hang_up(struct mail_line *line);

/* From any thread: cuts the connection, whatever it is doing, and lets no new one be made. */
void mail_line_cut(struct mail_line *line);
