#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "stripe/error_code.h"

/*
 * What the mails say. Three texts: verified; a failed check that can be tried again; one that cannot.
 *
 * They hold nothing personal, and their only link is the application's own page, never one of Stripe's: those work once
 * and belong into the application.
 */
struct mail_text {
    const char *subject; /* a constant in ASCII */
    struct buffer plain; /* lines end with \n */
    struct buffer html;  /* a whole document */
};

/* {0} is an empty one. 0 or -ENOMEM; either way to be freed. */
MUST_CHECK int mail_text_verified(struct mail_text *text);

/* `retry_page` may be NULL: then the text asks to go back to the application. It is not used for a code that cannot be
 * retried. */
MUST_CHECK int mail_text_failed(struct mail_text *text, const struct error_code *code, const char *retry_page);

void mail_text_free(struct mail_text *text);
