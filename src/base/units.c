#include "base/units.h"

#include <errno.h>

struct unit {
    struct text suffix;
    uint64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit durations[] = {
    {{"d", 1}, 86400000}, {{"h", 1}, 3600000}, {{"m", 1}, 60000}, {{"s", 1}, 1000}, {{"ms", 2}, 1},
};
static const struct unit sizes[] = {
    {{"G", 1}, 1u << 30},
    {{"M", 1}, 1u << 20},
    {{"k", 1}, 1u << 10},
    {{"", 0}, 1},
};
static const struct unit rates[] = {
    {{"/s", 2}, 60},
    {{"/m", 2}, 1},
};

static int parse(struct text text, const struct unit *units, size_t count, uint64_t *value)
{
    size_t digits = 0;
    while (digits < text.length && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    uint64_t number;
    int status = text_to_unsigned((struct text){.data = text.data, .length = digits}, UINT64_MAX, &number);
    if (status < 0) {
        return status;
    }
    struct text suffix = {.data = text.data + digits, .length = text.length - digits};
    if (number == 0 && suffix.length == 0) {
        *value = 0;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (text_equal(suffix, units[i].suffix)) {
            if (number > UINT64_MAX / units[i].factor) {
                return -ERANGE;
            }
            *value = number * units[i].factor;
            return 0;
        }
    }
    return -EINVAL;
}

static void append(struct buffer *buffer, uint64_t value, const struct unit *units, size_t count)
{
    size_t i = 0;
    while (i + 1 < count && value % units[i].factor != 0) {
        i++;
    }
    buffer_append_number(buffer, value / units[i].factor);
    if (value != 0) {
        buffer_append(buffer, units[i].suffix);
    }
}

int units_parse_duration(struct text text, uint64_t *milliseconds)
{
    return parse(text, durations, ARRAY_LENGTH(durations), milliseconds);
}

int units_parse_size(struct text text, uint64_t *bytes)
{
    return parse(text, sizes, ARRAY_LENGTH(sizes), bytes);
}

int units_parse_rate(struct text text, uint64_t *per_minute)
{
    return parse(text, rates, ARRAY_LENGTH(rates), per_minute);
}

void units_append_duration(struct buffer *buffer, uint64_t milliseconds)
{
    append(buffer, milliseconds, durations, ARRAY_LENGTH(durations));
}

void units_append_size(struct buffer *buffer, uint64_t bytes)
{
    append(buffer, bytes, sizes, ARRAY_LENGTH(sizes));
}

void units_append_rate(struct buffer *buffer, uint64_t per_minute)
{
    append(buffer, per_minute, rates, ARRAY_LENGTH(rates));
}
