#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * Bytes that grow on the heap. Zero-initialise it ({0}) to make an empty one; buffer_free() makes it that again.
 *
 * A failed append leaves what was there before and sets `failed`; later appends do nothing. So a sequence of appends
 * needs one check, at its end.
 */
struct buffer {
    char *data; /* NULL while capacity is 0; otherwise data[length] is always a NUL */
    size_t length;
    size_t capacity;
    bool failed; /* an append ran out of memory */
};

/* Makes room for `extra` more bytes. 0 or -ENOMEM. */
MUST_CHECK int buffer_reserve(struct buffer *buffer, size_t extra);

void buffer_append(struct buffer *buffer, struct text text);
void buffer_append_byte(struct buffer *buffer, char byte);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_format(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
void buffer_append_format_list(struct buffer *buffer, const char *format, va_list arguments) PRINTF_LIKE(2, 0);

/* In decimal; much faster than by format. */
void buffer_append_number(struct buffer *buffer, uint64_t number);

/* Appends `text` as the inside of a JSON string (RFC 8259 section 7), without quotes. Bytes that are not valid UTF-8
 * become U+FFFD. */
void buffer_append_json(struct buffer *buffer, struct text text);

/* Appends `text` escaped for where HTML's text or a quoted attribute's value stands. */
void buffer_append_html(struct buffer *buffer, struct text text);

/* The whole content, borrowed until the next change. */
struct text buffer_text(const struct buffer *buffer);

/* 0, or -ENOMEM when any append since the last clear failed. */
MUST_CHECK int buffer_status(const struct buffer *buffer);

/* Empties it and keeps the memory for the next use. */
void buffer_clear(struct buffer *buffer);

/* Gives the memory back. NULL is fine. */
void buffer_free(struct buffer *buffer);

/* Overwrites the whole memory, then frees it: for secrets and personal data. */
void buffer_wipe(struct buffer *buffer);
