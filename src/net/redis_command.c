#include "redis_command.h"

#include <string.h>

#include "base/decimal.h"

#define BULK_OVERHEAD 25 /* '$', a length of up to 20 digits, two line ends */

void redis_command_begin(struct buffer *out, size_t count)
{
    buffer_append_byte(out, '*');
    buffer_append_number(out, count);
    buffer_append(out, TEXT("\r\n"));
}

static char *put_bytes(char *at, struct text bytes)
{
    if (bytes.length > 0) {
        memcpy(at, bytes.data, bytes.length);
    }
    return at + bytes.length;
}

/* "$LENGTH\r\nBYTES\r\n": a RESP bulk string. Returns where it ends. */
static char *put_bulk(char *at, struct text text)
{
    char digits[DECIMAL_SIZE];
    *at++ = '$';
    at = put_bytes(at, decimal_write(text.length, digits));
    at = put_bytes(at, TEXT("\r\n"));
    at = put_bytes(at, text);
    return put_bytes(at, TEXT("\r\n"));
}

/* Room is made once: this is done for every event. */
void redis_command_append(struct buffer *out, size_t count, const struct text *texts)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += texts[i].length + BULK_OVERHEAD;
    }
    if (buffer_reserve(out, total) < 0) {
        return;
    }
    char *at = out->data + out->length;
    for (size_t i = 0; i < count; i++) {
        at = put_bulk(at, texts[i]);
    }
    *at = '\0';
    out->length = (size_t)(at - out->data);
}
