#pragma once

#include <stddef.h>

/*
 * The length, 1 to 4, of the UTF-8 sequence at the front of `data` (RFC 3629 section 4: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF), or 0 when there is no valid one. `length` is at least 1.
 */
size_t utf8_sequence(const char *data, size_t length);
