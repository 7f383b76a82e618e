#include "core/html_context.h"

#include <string.h>

#include "base/attributes.h"

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f';
}

static char lower(char byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return (char)(byte - 'A' + 'a');
    }
    return byte;
}

static bool is_letter(char byte)
{
    return lower(byte) >= 'a' && lower(byte) <= 'z';
}

static void note_name(struct html_context *context, char byte)
{
    if (context->name_length < sizeof(context->name) - 1) {
        context->name[context->name_length++] = lower(byte);
        context->name[context->name_length] = '\0';
    }
}

static void begin_name(struct html_context *context, enum html_state state)
{
    context->state = state;
    context->name_length = 0;
    context->name[0] = '\0';
}

/* ---- tags and their attributes */

static const char *end_tag_name(struct html_context *context)
{
    if (strcmp(context->name, "script") == 0 && !context->takes_scripts) {
        return "has a script in it, which mail programs refuse";
    }
    context->opens_style = strcmp(context->name, "style") == 0;
    context->state = HTML_IN_TAG;
    return NULL;
}

static void end_tag(struct html_context *context)
{
    context->state = context->opens_style ? HTML_IN_STYLE : HTML_IN_TEXT;
    context->opens_style = false;
}

static enum html_attribute attribute_of(const char *name)
{
    static const char *const urls[] = {"href", "src", "action", "background", "cite", "poster"};
    static const char *const closed[] = {"srcset", "srcdoc", "formaction", "xlink:href", "ping"};
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        if (strcmp(name, urls[i]) == 0) {
            return HTML_URL_ATTRIBUTE;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(closed); i++) {
        if (strcmp(name, closed[i]) == 0) {
            return HTML_CLOSED_ATTRIBUTE;
        }
    }
    if (strncmp(name, "on", 2) == 0) {
        return HTML_CLOSED_ATTRIBUTE;
    }
    return strcmp(name, "style") == 0 ? HTML_STYLE_ATTRIBUTE : HTML_PLAIN_ATTRIBUTE;
}

static void begin_value(struct html_context *context, enum html_state state)
{
    context->state = state;
    context->attribute = attribute_of(context->name);
    context->filling = HTML_EMPTY;
}

static void follow_tag(struct html_context *context, char byte)
{
    if (byte == '>') {
        end_tag(context);
    } else if (byte == '=') {
        context->state = HTML_BEFORE_VALUE;
    } else if (!is_blank(byte) && byte != '/') {
        begin_name(context, HTML_IN_ATTRIBUTE_NAME);
        note_name(context, byte);
    }
}

static void follow_attribute_name(struct html_context *context, char byte)
{
    if (byte == '>' || byte == '/' || byte == '=' || is_blank(byte)) {
        context->state = HTML_IN_TAG; /* "name = value" may have blanks in it: the name is kept */
        follow_tag(context, byte);
    } else {
        note_name(context, byte);
    }
}

static void follow_before_value(struct html_context *context, char byte)
{
    if (byte == '"') {
        begin_value(context, HTML_IN_DOUBLE_QUOTES);
    } else if (byte == '\'') {
        begin_value(context, HTML_IN_SINGLE_QUOTES);
    } else if (byte == '>') {
        end_tag(context);
    } else if (!is_blank(byte)) {
        begin_value(context, HTML_IN_BARE_VALUE);
    }
}

static void follow_quoted(struct html_context *context, char byte, char quote)
{
    if (byte == quote) {
        context->state = HTML_IN_TAG;
    } else {
        html_context_fill(context);
    }
}

static void follow_bare(struct html_context *context, char byte)
{
    if (byte == '>') {
        end_tag(context);
    } else if (is_blank(byte)) {
        context->state = HTML_IN_TAG;
    }
}

/* ---- text, comments, declarations */

/* `rest` begins with '<'. */
static void follow_less_than(struct html_context *context, struct text rest)
{
    char next = '\0';
    if (rest.length > 1) {
        next = rest.data[1];
    }
    if (text_starts_with(rest, TEXT("<!--"))) {
        context->state = HTML_IN_COMMENT;
    } else if (next == '!' || next == '?') {
        context->state = HTML_IN_DECLARATION;
    } else if (next == '/' || is_letter(next) || rest.length == 1) {
        begin_name(context, HTML_IN_TAG_NAME);
    }
}

static bool ends_style(struct text rest)
{
    static const char end[] = "</style";
    size_t i = 0;
    while (i < sizeof(end) - 1 && i < rest.length && lower(rest.data[i]) == end[i]) {
        i++;
    }
    return i == sizeof(end) - 1;
}

static const char *follow_byte(struct html_context *context, struct text rest, size_t behind)
{
    char byte = rest.data[0];
    switch (context->state) {
    case HTML_IN_TEXT:
        if (byte == '<') {
            follow_less_than(context, rest);
        }
        break;
    case HTML_IN_TAG_NAME:
        if (byte == '>' || is_blank(byte) || (byte == '/' && context->name_length > 0)) {
            const char *fault = end_tag_name(context);
            if (byte == '>') {
                end_tag(context);
            }
            return fault;
        }
        note_name(context, byte); /* "/style" is another name than "style" */
        break;
    case HTML_IN_TAG:
        follow_tag(context, byte);
        break;
    case HTML_IN_ATTRIBUTE_NAME:
        follow_attribute_name(context, byte);
        break;
    case HTML_BEFORE_VALUE:
        follow_before_value(context, byte);
        break;
    case HTML_IN_DOUBLE_QUOTES:
        follow_quoted(context, byte, '"');
        break;
    case HTML_IN_SINGLE_QUOTES:
        follow_quoted(context, byte, '\'');
        break;
    case HTML_IN_BARE_VALUE:
        follow_bare(context, byte);
        break;
    case HTML_IN_COMMENT:
        if (byte == '>' && behind >= 2 && memcmp(rest.data - 2, "--", 2) == 0) {
            context->state = HTML_IN_TEXT;
        }
        break;
    case HTML_IN_DECLARATION:
        if (byte == '>') {
            context->state = HTML_IN_TEXT;
        }
        break;
    case HTML_IN_STYLE:
    default:
        if (ends_style(rest)) {
            begin_name(context, HTML_IN_TAG_NAME);
        }
        break;
    }
    return NULL;
}

const char *html_context_follow(struct html_context *context, struct text html)
{
    const char *fault = NULL;
    for (size_t i = 0; i < html.length && !fault; i++) {
        struct text rest = {.data = html.data + i, .length = html.length - i};
        fault = follow_byte(context, rest, i);
    }
    return fault;
}

/* ---- values */

void html_context_fill(struct html_context *context)
{
    context->filling = HTML_BEGUN;
}

static enum html_place place_in_value(const struct html_context *context)
{
    switch (context->attribute) {
    case HTML_PLAIN_ATTRIBUTE:
        return HTML_PLACE_ATTRIBUTE;
    case HTML_URL_ATTRIBUTE:
        return context->filling == HTML_EMPTY   ? HTML_PLACE_URL_START
               : context->filling == HTML_BEGUN ? HTML_PLACE_URL_REST
                                                : HTML_PLACE_NONE;
    case HTML_STYLE_ATTRIBUTE:
        return HTML_PLACE_STYLE;
    case HTML_CLOSED_ATTRIBUTE:
    default:
        return HTML_PLACE_NONE;
    }
}

enum html_place html_context_place(const struct html_context *context)
{
    switch (context->state) {
    case HTML_IN_TEXT:
        return HTML_PLACE_TEXT;
    case HTML_IN_STYLE:
        return HTML_PLACE_STYLE;
    case HTML_IN_DOUBLE_QUOTES:
    case HTML_IN_SINGLE_QUOTES:
        return place_in_value(context);
    case HTML_IN_TAG_NAME:
    case HTML_IN_TAG:
    case HTML_IN_ATTRIBUTE_NAME:
    case HTML_BEFORE_VALUE:
    case HTML_IN_BARE_VALUE:
    case HTML_IN_COMMENT:
    case HTML_IN_DECLARATION:
    default:
        return HTML_PLACE_NONE;
    }
}

bool html_context_join(struct html_context *context, const struct html_context *before)
{
    bool in_value = context->state == HTML_IN_DOUBLE_QUOTES || context->state == HTML_IN_SINGLE_QUOTES ||
                    context->state == HTML_IN_BARE_VALUE;
    bool in_name = context->state == HTML_IN_TAG_NAME || context->state == HTML_IN_ATTRIBUTE_NAME ||
                   context->state == HTML_BEFORE_VALUE;
    if (context->state != before->state || context->opens_style != before->opens_style ||
        (in_value && context->attribute != before->attribute) ||
        (in_name && strcmp(context->name, before->name) != 0)) {
        return false;
    }
    if (in_value && context->filling != before->filling) {
        context->filling = HTML_EITHER;
    }
    return true;
}
