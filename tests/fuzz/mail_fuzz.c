/*
 * Any name, subject, text and HTML, one to a line that ends with a zero byte: the mail must have the headers that it is
 * to have and no others, in lines that every relay takes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/mail_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const headers[] = {"From: ",
                                      "To: ",
                                      "Subject: ",
                                      "Date: ",
                                      "Message-ID: ",
                                      "Auto-Submitted: ",
                                      "X-Auto-Response-Suppress: ",
                                      "MIME-Version: ",
                                      "Content-Type: "};

static void check_line(struct text line)
{
    if (line.length == 0 || line.length > 79 || line.data[line.length - 1] != '\r') {
        abort();
    }
    for (size_t i = 0; i + 1 < line.length; i++) {
        unsigned char byte = (unsigned char)line.data[i];
        if ((byte < ' ' && byte != '\t') || byte > '~') {
            abort();
        }
    }
}

static void check_headers(struct text *rest)
{
    size_t next = 0;
    for (;;) {
        struct text line = text_cut(rest, '\n');
        check_line(line);
        if (line.length == 1) {
            break;
        }
        if (line.data[0] == ' ') {
            continue; /* folded */
        }
        if (next == sizeof(headers) / sizeof(headers[0]) || !text_starts_with(line, text_of(headers[next]))) {
            abort();
        }
        next++;
    }
    if (next != sizeof(headers) / sizeof(headers[0])) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = {.data = (const char *)data, .length = size};
    struct mail_message message = {.from.address = TEXT("a@b"), .to.address = TEXT("c@d"), .event = TEXT("evt_1")};
    struct text *parts[] = {&message.from.name, &message.subject, &message.plain, &message.html};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rest.data; i++) {
        *parts[i] = text_cut(&rest, '\0');
    }
    struct buffer out = {0};
    if (mail_message_write(&message, &out) != 0) {
        abort();
    }
    struct text mail = buffer_text(&out);
    check_headers(&mail);
    while (mail.length > 0) {
        check_line(text_cut(&mail, '\n'));
    }
    buffer_free(&out);
    return 0;
}
