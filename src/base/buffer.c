#include "base/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/decimal.h"
#include "base/utf8.h"

int buffer_reserve(struct buffer *buffer, size_t extra)
{
    if (buffer->failed || extra >= SIZE_MAX / 2 - buffer->length) {
        buffer->failed = true;
        return -ENOMEM;
    }
    size_t needed = buffer->length + extra + 1;
    if (needed <= buffer->capacity) {
        return 0;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    buffer->data[buffer->length] = '\0';
    return 0;
}

void buffer_append(struct buffer *buffer, struct text text)
{
    if (buffer_reserve(buffer, text.length) < 0) {
        return;
    }
    if (text.length > 0) {
        memcpy(buffer->data + buffer->length, text.data, text.length);
    }
    buffer->length += text.length;
    buffer->data[buffer->length] = '\0';
}

void buffer_append_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, (struct text){.data = &byte, .length = 1});
}

void buffer_append_string(struct buffer *buffer, const char *string)
{
    buffer_append(buffer, text_of(string));
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    buffer_append_format_list(buffer, format, arguments);
    va_end(arguments);
}

void buffer_append_format_list(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0 || buffer_reserve(buffer, (size_t)length) < 0) {
        buffer->failed = true;
        return;
    }
    (void)vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
    buffer->length += (size_t)length;
}

/* How many bytes at the front of `text` stand for themselves in a JSON string. */
static size_t plain_run(struct text text)
{
    size_t length = 0;
    while (length < text.length) {
        unsigned char byte = (unsigned char)text.data[length];
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') {
            break;
        }
        length++;
    }
    return length;
}

/* Appends the first character of `text` as JSON wants it; returns how many bytes it has. */
static size_t append_special(struct buffer *buffer, struct text text)
{
    unsigned char byte = (unsigned char)text.data[0];
    size_t length = utf8_sequence(text.data, text.length);
    if (length == 0) {
        buffer_append(buffer, TEXT("\xef\xbf\xbd"));
        return 1;
    }
    if (byte == '"' || byte == '\\') {
        buffer_append_byte(buffer, '\\');
        buffer_append_byte(buffer, (char)byte);
    } else if (byte == '\n') {
        buffer_append(buffer, TEXT("\\n"));
    } else if (byte < 0x20 || byte == 0x7f) {
        buffer_append_format(buffer, "\\u%04x", byte);
    } else {
        buffer_append(buffer, (struct text){.data = text.data, .length = length});
    }
    return length;
}

void buffer_append_json(struct buffer *buffer, struct text text)
{
    while (text.length > 0) {
        size_t length = plain_run(text);
        if (length > 0) {
            buffer_append(buffer, (struct text){.data = text.data, .length = length});
        } else {
            length = append_special(buffer, text);
        }
        text.data += length;
        text.length -= length;
    }
}

static const char *html_escape(char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void buffer_append_html(struct buffer *buffer, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        const char *escape = html_escape(text.data[i]);
        if (escape) {
            buffer_append_string(buffer, escape);
        } else {
            buffer_append_byte(buffer, text.data[i]);
        }
    }
}

void buffer_append_number(struct buffer *buffer, uint64_t number)
{
    char digits[DECIMAL_SIZE];
    buffer_append(buffer, decimal_write(number, digits));
}

struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){.data = buffer->data, .length = buffer->length};
}

int buffer_status(const struct buffer *buffer)
{
    return buffer->failed ? -ENOMEM : 0;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data) {
        buffer->data[0] = '\0';
    }
}

void buffer_free(struct buffer *buffer)
{
    if (buffer) {
        free(buffer->data);
        *buffer = (struct buffer){0};
    }
}

void buffer_wipe(struct buffer *buffer)
{
    if (buffer && buffer->data) {
        OPENSSL_cleanse(buffer->data, buffer->capacity);
    }
    buffer_free(buffer);
}
