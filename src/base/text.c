#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool text_equal(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static int lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

bool text_equal_ignoring_case(struct text a, struct text b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

bool text_starts_with(struct text text, struct text prefix)
{
    return text.length >= prefix.length && (prefix.length == 0 || memcmp(text.data, prefix.data, prefix.length) == 0);
}

bool text_ends_with(struct text text, struct text suffix)
{
    return text.length >= suffix.length &&
           (suffix.length == 0 || memcmp(text.data + text.length - suffix.length, suffix.data, suffix.length) == 0);
}

bool text_take_prefix(struct text *text, struct text prefix)
{
    if (!text_starts_with(*text, prefix)) {
        return false;
    }
    text->data += prefix.length;
    text->length -= prefix.length;
    return true;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct text text_trim(struct text text)
{
    while (text.length > 0 && is_blank(text.data[0])) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && is_blank(text.data[text.length - 1])) {
        text.length--;
    }
    return text;
}

struct text text_cut(struct text *rest, char separator)
{
    struct text part = *rest;
    const char *found = rest->length > 0 ? memchr(rest->data, separator, rest->length) : NULL;
    if (!found) {
        *rest = (struct text){0};
        return part;
    }
    part.length = (size_t)(found - part.data);
    rest->data = found + 1;
    rest->length -= part.length + 1;
    return part;
}

int text_to_unsigned(struct text text, uint64_t maximum, uint64_t *value)
{
    if (text.length == 0) {
        return -EINVAL;
    }
    uint64_t result = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (byte < '0' || byte > '9') {
            return -EINVAL;
        }
        uint64_t digit = (uint64_t)(byte - '0');
        if (result > (UINT64_MAX - digit) / 10) {
            return -ERANGE;
        }
        result = result * 10 + digit;
    }
    if (result > maximum) {
        return -ERANGE;
    }
    *value = result;
    return 0;
}

char *text_copy(struct text text)
{
    char *copy = malloc(text.length + 1);
    if (!copy) {
        return NULL;
    }
    if (text.length > 0) {
        memcpy(copy, text.data, text.length);
    }
    copy[text.length] = '\0';
    return copy;
}
