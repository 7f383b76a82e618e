#include "cli/moment.h"

#include <errno.h>
#include <time.h>

#include "base/units.h"

/* The number that `text` has in the two or four digits at its front, which are cut off. */
static int take_digits(struct text *text, size_t digits, uint64_t most, int *number)
{
    uint64_t value;
    struct text front = {.data = text->data, .length = digits};
    if (text->length < digits || text_to_unsigned(front, most, &value) < 0) {
        return -EINVAL;
    }
    text->data += digits;
    text->length -= digits;
    *number = (int)value;
    return 0;
}

static int take_date(struct text *text, struct tm *parts)
{
    if (take_digits(text, 4, 9999, &parts->tm_year) < 0 || !text_take_prefix(text, TEXT("-")) ||
        take_digits(text, 2, 12, &parts->tm_mon) < 0 || !text_take_prefix(text, TEXT("-")) ||
        take_digits(text, 2, 31, &parts->tm_mday) < 0 || parts->tm_mon < 1 || parts->tm_mday < 1) {
        return -EINVAL;
    }
    parts->tm_year -= 1900;
    parts->tm_mon -= 1;
    return 0;
}

static int take_time(struct text *text, struct tm *parts)
{
    if (take_digits(text, 2, 23, &parts->tm_hour) < 0 || !text_take_prefix(text, TEXT(":")) ||
        take_digits(text, 2, 59, &parts->tm_min) < 0) {
        return -EINVAL;
    }
    if (text_take_prefix(text, TEXT(":")) && take_digits(text, 2, 59, &parts->tm_sec) < 0) {
        return -EINVAL;
    }
    return text_take_prefix(text, TEXT("Z")) ? 0 : -EINVAL;
}

int moment_parse(struct text text, int64_t now_ms, int64_t *moment_ms)
{
    uint64_t ago;
    struct tm parts = {0};
    if (units_parse_duration(text, &ago) == 0) {
        *moment_ms = (int64_t)ago < now_ms ? now_ms - (int64_t)ago : 0;
        return 0;
    }
    if (take_date(&text, &parts) < 0 || (text_take_prefix(&text, TEXT("T")) && take_time(&text, &parts) < 0) ||
        text.length > 0) {
        return -EINVAL;
    }
    *moment_ms = (int64_t)timegm(&parts) * 1000;
    return *moment_ms >= 0 ? 0 : -EINVAL;
}
