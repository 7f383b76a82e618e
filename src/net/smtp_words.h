#pragma once

#include <stddef.h>

#include "base/text.h"

/*
 * What an SMTP server says is for people, and may name one: "550 5.1.1 <jenny@example.com> unknown", "user jrosen has
 * moved". Appends to `out`, which is NUL-terminated and has `size` bytes, those words of `reply` (a line without its
 * code) that are known to be about mail and nobody's name; whatever else is there becomes "…". Nothing is appended to
 * what has no such word.
 */
void smtp_words_append(struct text reply, char *out, size_t size);
