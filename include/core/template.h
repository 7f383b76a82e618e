#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * A small template language.
 *
 *   {{name}}                the variable's value
 *   {{#name}} … {{/name}}   only where the variable has a value
 *   {{^name}} … {{/name}}   only where it has none
 *   {{! any words }}        a comment
 *
 * Sections nest; a line with nothing but such a tag or comment on it leaves no empty line behind.
 *
 * In plain text a value is written as it is, its control characters as blanks. In HTML it is escaped for where it
 * stands: in text; in a quoted attribute; in a URL (href, src …), where a URL may stand only at the start, and any
 * other value only behind it, percent-encoded. CSS takes colours and nothing else. Everywhere else (outside quotes, in
 * names, in comments, in on… attributes) a variable is a fault, and so is a section that ends in another place of the
 * document than it starts in. There is no way to write a value unescaped.
 */
struct template;

enum template_kind {
    TEMPLATE_PLAIN,
    TEMPLATE_HTML,
    TEMPLATE_PAGE, /* HTML for a browser: it may have scripts, which are files of their own */
};

enum template_type {
    TEMPLATE_TEXT,
    TEMPLATE_URL,   /* http:// or https:// or mailto:, checked before */
    TEMPLATE_COLOR, /* "#rrggbb" */
    TEMPLATE_FLAG,  /* for sections alone; any value means yes */
};

struct template_variable {
    const char *name;
    enum template_type type;
};

#define TEMPLATE_SOURCE_MAXIMUM (64u << 10)
#define TEMPLATE_DEPTH_MAXIMUM 8
#define TEMPLATE_OUTPUT_MAXIMUM (256u << 10)

struct template_source {
    const char *file; /* its name, for faults */
    struct text text; /* UTF-8 */
    enum template_kind kind;
};

#define TEMPLATE_FAULTY 1
#define TEMPLATE_TOO_LONG 2

/*
 * Reads a template. `variables` ends with a NULL name, and outlives it; the source is copied. 0, -ENOMEM, or
 * TEMPLATE_FAULTY: then the first fault was appended to `faults`, as the line "FILE:LINE: …". *template is NULL unless
 * 0.
 */
MUST_CHECK int template_compile(const struct template_source *source, const struct template_variable *variables,
                                struct template **template, struct buffer *faults);

/*
 * Appends the template with these values, which are in the order of the variables; NULL and "" are no value. 0,
 * -ENOMEM, or TEMPLATE_TOO_LONG: it would be longer than TEMPLATE_OUTPUT_MAXIMUM.
 */
MUST_CHECK int template_render(const struct template *template, const char *const *values, struct buffer *out);

/* The variable of that index is named in it. */
bool template_uses(const struct template *template, size_t variable);

/* NULL is fine. */
void template_free(struct template *template);
