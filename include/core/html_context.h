#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * Where in an HTML document one is, found by following it from its start as a browser would: so that a template can
 * tell how a value is to be written there. Zero-initialise it to be at the start.
 */
enum html_state {
    HTML_IN_TEXT,
    HTML_IN_TAG_NAME,
    HTML_IN_TAG, /* between attributes */
    HTML_IN_ATTRIBUTE_NAME,
    HTML_BEFORE_VALUE, /* after '=' */
    HTML_IN_DOUBLE_QUOTES,
    HTML_IN_SINGLE_QUOTES,
    HTML_IN_BARE_VALUE,
    HTML_IN_COMMENT,
    HTML_IN_DECLARATION, /* <!doctype> */
    HTML_IN_STYLE,       /* the element */
};

enum html_attribute { HTML_PLAIN_ATTRIBUTE, HTML_URL_ATTRIBUTE, HTML_STYLE_ATTRIBUTE, HTML_CLOSED_ATTRIBUTE };

/* How much of a quoted value there is: both, where the two ways through a section differ. */
enum html_filling { HTML_EMPTY, HTML_BEGUN, HTML_EITHER };

struct html_context {
    enum html_state state;
    enum html_attribute attribute; /* of the value one is in */
    enum html_filling filling;     /* of that value */
    char name[16];                 /* of the tag or attribute, in lower case; cut where it is longer */
    size_t name_length;
    bool opens_style;   /* the tag is <style */
    bool takes_scripts; /* <script src="…"></script> is no fault; set before the start */
};

/* What a place takes. */
enum html_place {
    HTML_PLACE_TEXT,
    HTML_PLACE_ATTRIBUTE, /* a quoted value */
    HTML_PLACE_URL_START, /* the start of a quoted URL */
    HTML_PLACE_URL_REST,  /* inside one */
    HTML_PLACE_STYLE,     /* CSS */
    HTML_PLACE_NONE,      /* nothing that is not the template's own */
};

/* Follows `html`, which may end anywhere. NULL, or what is wrong with it, as the end of a sentence. */
const char *html_context_follow(struct html_context *context, struct text html);

/* A value was written. */
void html_context_fill(struct html_context *context);

enum html_place html_context_place(const struct html_context *context);

/* At the end of a section that may be left out: `before` is the context at its start. False when the two are too
 * different for what follows to be the same in both cases; else `context` is what holds in either. */
MUST_CHECK bool html_context_join(struct html_context *context, const struct html_context *before);
