#pragma once

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * What the codes of stripe/error_code.h mean, in the words of a file, for another language or another tone:
 *
 *   # a comment
 *   document_expired.title: Bitte wiederholen Sie die Prüfung
 *   document_expired.happened: Ihr Ausweis ist abgelaufen.
 *   document_expired.advice: Bitte versuchen Sie es mit einem gültigen noch einmal.
 */
struct mail_reasons;

enum reason_part { REASON_TITLE, REASON_HAPPENED, REASON_ADVICE, REASON_PARTS };

#define MAIL_REASONS_FAULTY 1

/* `file` is its name, for faults: "FILE:LINE: …". 0, MAIL_REASONS_FAULTY with a line for each fault, or -ENOMEM. */
MUST_CHECK int mail_reasons_read(const char *file, struct text content, struct mail_reasons **reasons,
                                 struct buffer *faults);

/* The words for the code of that index in error_codes; NULL where the file has none. `reasons` may be NULL. */
const char *mail_reasons_words(const struct mail_reasons *reasons, size_t code, enum reason_part part);

/* "title" … */
const char *reason_part_name(enum reason_part part);

/* NULL is fine. */
void mail_reasons_free(struct mail_reasons *reasons);
