#pragma once

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/settings.h"
#include "core/mail_message.h"
#include "core/mail_templates.h"
#include "stripe/session.h"

/*
 * Writes the mails: with the templates of IDENTIHOOK_MAIL_TEMPLATES, read at the start and again when they are told to
 * be. May be used from several threads at once.
 */
struct mail_writer;

#define MAIL_WRITER_FAULTY 1

/* `settings` outlives it. 0, -ENOMEM, or MAIL_WRITER_FAULTY: the folder cannot be read, its files are faulty, or
 * libidn2 is missing, and `faults` has a line for each fault. */
MUST_CHECK int mail_writer_open(const struct settings *settings, struct mail_writer **writer, struct buffer *faults);

/* Reads the folder again. As mail_writer_open(); unless 0, the templates stay as they were. */
MUST_CHECK int mail_writer_reload(struct mail_writer *writer, struct buffer *faults);

/* NULL is fine. */
void mail_writer_close(struct mail_writer *writer);

/* As mail_templates_write(); the settings are filled in. */
MUST_CHECK int mail_writer_write_text(struct mail_writer *writer, const struct mail_facts *facts,
                                      struct mail_text *text);

/* One mail, about to be sent. */
struct mail_order {
    enum mail_kind kind;
    const struct error_code *code; /* of REQUIRES_INPUT */
    const char *locale;            /* or NULL */
    bool livemode;
    struct text to;    /* bare */
    struct text event; /* the id */
    int64_t date;      /* seconds since 1970 */
};

/* A mail with its envelope, both addresses bare and with their domain in ASCII. */
struct written_mail {
    char from[256];
    char to[256];
    struct buffer message;
};

#define MAIL_WRITER_BAD_SENDER 2
#define MAIL_WRITER_BAD_RECIPIENT 3
#define MAIL_WRITER_TOO_LONG 4

/* Writes the whole mail. 0, one of the three above, or -ENOMEM; either way mail->message is to be wiped. */
MUST_CHECK int mail_writer_write(struct mail_writer *writer, const struct mail_order *order, struct written_mail *mail);
