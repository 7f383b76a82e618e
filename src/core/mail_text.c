#include "core/mail_text.h"

static void append_html(struct buffer *html, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            buffer_append_string(html, "&amp;");
            break;
        case '<':
            buffer_append_string(html, "&lt;");
            break;
        case '>':
            buffer_append_string(html, "&gt;");
            break;
        case '"':
            buffer_append_string(html, "&quot;");
            break;
        default:
            buffer_append_byte(html, *text);
        }
    }
}

static void open_text(struct mail_text *text, const char *subject)
{
    *text = (struct mail_text){.subject = subject};
    buffer_append_string(&text->html, "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>");
    append_html(&text->html, subject);
    buffer_append_string(&text->html, "</title></head>\n<body>\n");
}

static void add_paragraph(struct mail_text *text, const char *paragraph)
{
    buffer_append_string(&text->plain, paragraph);
    buffer_append_string(&text->plain, "\n\n");
    buffer_append_string(&text->html, "<p>");
    append_html(&text->html, paragraph);
    buffer_append_string(&text->html, "</p>\n");
}

static void add_link(struct mail_text *text, const char *words, const char *url)
{
    buffer_append_format(&text->plain, "%s:\n%s\n\n", words, url);
    buffer_append_string(&text->html, "<p><a href=\"");
    append_html(&text->html, url);
    buffer_append_string(&text->html, "\">");
    append_html(&text->html, words);
    buffer_append_string(&text->html, "</a></p>\n");
}

static int close_text(struct mail_text *text)
{
    buffer_append_string(&text->html, "</body>\n</html>\n");
    int status = buffer_status(&text->plain);
    return status < 0 ? status : buffer_status(&text->html);
}

int mail_text_verified(struct mail_text *text)
{
    open_text(text, "Your identity is confirmed");
    add_paragraph(text, "Hello,");
    add_paragraph(text, "Your identity has been confirmed. There is nothing more that you have to do.");
    return close_text(text);
}

int mail_text_failed(struct mail_text *text, const struct error_code *code, const char *retry_page)
{
    open_text(text, code->retryable ? "Please try your identity check again" : "We could not confirm your identity");
    add_paragraph(text, "Hello,");
    add_paragraph(text, "We could not confirm your identity.");
    add_paragraph(text, code->message);
    if (code->retryable && retry_page) {
        add_link(text, "Try again here", retry_page);
    } else if (code->retryable) {
        add_paragraph(text, "Please go back to where you started the check, and try again.");
    }
    return close_text(text);
}

void mail_text_free(struct mail_text *text)
{
    buffer_free(&text->plain);
    buffer_free(&text->html);
}
