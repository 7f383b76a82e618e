#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

void report_text(struct buffer *out, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        unsigned char before = i > 0 ? (unsigned char)text.data[i - 1] : 0;
        bool commands = byte < 0x20 || byte == 0x7f || (before == 0xc2 && byte < 0xa0); /* C0, DEL, C1 in UTF-8 */
        if (commands) {
            buffer_append_byte(out, '?');
        } else {
            buffer_append_byte(out, text.data[i]);
        }
    }
}

void report_time(struct buffer *out, int64_t milliseconds)
{
    time_t seconds = (time_t)(milliseconds / 1000);
    struct tm parts;
    char text[32];
    if (milliseconds < 0 || !gmtime_r(&seconds, &parts) ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        buffer_append_string(out, "never");
        return;
    }
    buffer_append_format(out, "%s.%03dZ", text, (int)(milliseconds % 1000));
}

void report_span(struct buffer *out, int64_t milliseconds)
{
    static const struct {
        int64_t from; /* written in this unit from here on */
        int64_t unit;
        const char *name;
    } units[] = {{172800000, 86400000, "d"}, {7200000, 3600000, "h"}, {120000, 60000, "min"}};
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (milliseconds >= units[i].from) {
            buffer_append_format(out, "%" PRId64 " %s", milliseconds / units[i].unit, units[i].name);
            return;
        }
    }
    buffer_append_format(out, "%" PRId64 ".%d s", milliseconds / 1000, (int)(milliseconds % 1000 / 100));
}

static void begin_member(struct buffer *out, const char *name)
{
    bool first = out->length == 0 || out->data[out->length - 1] == '{';
    buffer_append_format(out, "%s\"%s\":", first ? "" : ",", name);
}

void report_json_text(struct buffer *out, const char *name, struct text value)
{
    begin_member(out, name);
    buffer_append_byte(out, '"');
    buffer_append_json(out, value);
    buffer_append_byte(out, '"');
}

void report_json_number(struct buffer *out, const char *name, int64_t value)
{
    begin_member(out, name);
    if (value < 0) {
        buffer_append_string(out, "null");
    } else {
        buffer_append_format(out, "%" PRId64, value);
    }
}

void report_json_bool(struct buffer *out, const char *name, bool value)
{
    begin_member(out, name);
    buffer_append_string(out, value ? "true" : "false");
}

bool report_print(struct buffer *out)
{
    bool written = buffer_status(out) == 0 &&
                   fwrite(out->data ? out->data : "", 1, out->length, stdout) == out->length && fflush(stdout) == 0;
    if (!written) {
        (void)fputs("identihook: the result could not be written whole\n", stderr);
    }
    buffer_clear(out);
    return written;
}
