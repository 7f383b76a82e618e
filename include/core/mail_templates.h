#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/settings.h"
#include "base/text.h"
#include "stripe/error_code.h"

/*
 * What the mails say: templates (core/template.h) for their subject, their plain text and their HTML, built in and
 * overridden file by file.
 *
 *   verified.subject, verified.txt, verified.html
 *   requires_input.subject, requires_input.txt, requires_input.html
 *   reasons.txt (core/mail_reasons.h)
 *
 * The same names in a folder of a language (de, pt-BR) are for those who want that language: pt-BR is looked for in
 * pt-BR, then in pt, then among those of no language. No mail is half in one language and half in another: a language
 * has all three files of a mail or none, and with requires_input the reasons for every code that it names.
 *
 * They hold nothing personal, and link to the application's own pages, never to one of Stripe's: those work once and
 * belong into the application.
 *
 * Variables: brand.name, brand.color, brand.upon_color (to write in on it), brand.logo (a URL), support.address,
 * retry.page (only where trying again is offered), alternative.page (only for a code with an alternative),
 * reason.code, reason.title, reason.happened, reason.advice, locale (of the templates; "en" for those of no language);
 * and yes or no: retryable, alternative, testmode.
 */
struct mail_templates;

enum mail_kind { MAIL_VERIFIED, MAIL_REQUIRES_INPUT, MAIL_KINDS };

/* "verified", "requires_input". */
extern const char *const mail_kind_names[MAIL_KINDS];

struct mail_template_file {
    const char *path;   /* for faults */
    const char *locale; /* the name of its folder; "" for none */
    const char *name;   /* "verified.txt" */
    struct text content;
};

#define MAIL_TEMPLATES_FAULTY 1

/*
 * Reads these files over the built-in ones; nothing of them is kept. 0, -ENOMEM, or MAIL_TEMPLATES_FAULTY with a line
 * for each faulty file. *templates is NULL unless 0. It never changes, so that several threads may use it.
 */
MUST_CHECK int mail_templates_create(const struct mail_template_file *files, size_t count,
                                     struct mail_templates **templates, struct buffer *faults);

/* NULL is fine. */
void mail_templates_free(struct mail_templates *templates);

/* "de", "pt-BR", "pt_br": letters and digits, 2 to 35 with their '-' or '_'. */
bool mail_locale_is_one(struct text text);

/* What a mail is about. */
struct mail_facts {
    const struct settings *settings; /* for the brand and the pages */
    enum mail_kind kind;
    const struct error_code *code; /* of REQUIRES_INPUT */
    const char *locale;            /* the wanted one; NULL, or what is none: the templates of no language */
    bool livemode;
};

struct mail_text {
    struct buffer subject; /* one line */
    struct buffer plain;   /* lines end with \n */
    struct buffer html;
};

/* {0} is an empty one. 0, -ENOMEM, or -EMSGSIZE: a template writes more than it may. Either way to be freed. */
MUST_CHECK int mail_templates_write(const struct mail_templates *templates, const struct mail_facts *facts,
                                    struct mail_text *text);

void mail_text_free(struct mail_text *text);
