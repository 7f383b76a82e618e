#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

/*
 * A borrowed run of bytes: not owned, not NUL-terminated, valid as long as what it was cut from.
 * `data` may be NULL only when `length` is 0.
 */
struct text {
    const char *data;
    size_t length;
};

/* A text over a string literal, without measuring it at run time. */
#define TEXT(literal) ((struct text){.data = (literal), .length = sizeof(literal) - 1})

/* For printf: "%.*s" with TEXT_ARGUMENTS(t). */
#define TEXT_ARGUMENTS(t) (int)(t).length, (t).data ? (t).data : ""

/* A text over a C string; NULL gives the empty text. Inline, so that a literal is measured by the compiler. */
static inline struct text text_of(const char *string)
{
    return (struct text){.data = string, .length = string ? strlen(string) : 0};
}

bool text_equal(struct text a, struct text b);

/* ASCII letters compare without regard to case; other bytes must be equal. For header names (RFC 9110 section 5.1). */
bool text_equal_ignoring_case(struct text a, struct text b);

bool text_starts_with(struct text text, struct text prefix);

bool text_ends_with(struct text text, struct text suffix);

/* Cuts `prefix` off the front of *text; false, and nothing is cut, when it does not start with that. */
bool text_take_prefix(struct text *text, struct text prefix);

/* `text` without leading and trailing spaces and tabs (RFC 9110 "OWS"). */
struct text text_trim(struct text text);

/*
 * Cuts the part before the first `separator` off the front of *rest and returns it; *rest keeps what follows the
 * separator. Without a separator, returns all of it and *rest becomes { NULL, 0 }. Loop while rest.data != NULL.
 */
struct text text_cut(struct text *rest, char separator);

/* Decimal digits only, no sign, no blanks. 0, or -EINVAL, or -ERANGE above `maximum`. */
MUST_CHECK int text_to_unsigned(struct text text, uint64_t maximum, uint64_t *value);

/* A NUL-terminated heap copy, freed by the caller with free(); NULL when out of memory. */
char *text_copy(struct text text);
