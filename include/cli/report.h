#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"

/* How commands write their results: for people, and as JSON. */

/* For people: control characters, which could command the terminal, become '?'. */
void report_text(struct buffer *out, struct text text);

/* "2026-11-25 19:30:12.123Z"; "never" when it is negative. */
void report_time(struct buffer *out, int64_t milliseconds);

/* "4.2 s", "3 min", "5 h", "2 d". */
void report_span(struct buffer *out, int64_t milliseconds);

/* One member of a JSON object: "name":"value", "name":5 (null when negative) or "name":true. With a comma in front
 * unless it is the first. */
void report_json_text(struct buffer *out, const char *name, struct text value);
void report_json_number(struct buffer *out, const char *name, int64_t value);
void report_json_bool(struct buffer *out, const char *name, bool value);

/* Writes all of it to standard output, and empties it. False when it could not be written whole. */
bool report_print(struct buffer *out);
