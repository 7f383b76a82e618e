#include "redis_output.h"

#include <errno.h>

#define LOAN_LEAST 1024           /* fewer bytes are copied at less cost */
#define KEPT_BYTES_MAXIMUM 131072 /* a larger buffer is given back when it is empty */

int redis_output_add(struct redis_output *output, struct text bytes, struct text lent, bool may_lend)
{
    bool lends = may_lend && lent.length >= LOAN_LEAST && output->loan_count < REDIS_OUTPUT_LOANS;
    if (buffer_reserve(&output->copied, bytes.length + (lends ? 0 : lent.length)) < 0) {
        output->copied.failed = false; /* nothing was appended: what is there is whole */
        return -ENOMEM;
    }
    buffer_append(&output->copied, bytes);
    if (lends) {
        output->loans[output->loan_count].bytes = lent;
        output->loans[output->loan_count].after = output->copied.length;
        output->loan_count++;
    } else {
        buffer_append(&output->copied, lent);
    }
    return 0;
}

bool redis_output_is_empty(const struct redis_output *output)
{
    return output->copied.length == 0 && output->loan_count == 0;
}

static size_t add_part(uv_buf_t *parts, size_t count, const char *data, size_t length)
{
    if (length == 0) {
        return count;
    }
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): libuv only reads them, but its uv_buf_t cannot say so */
    parts[count] = uv_buf_init((char *)(uintptr_t)data, (unsigned)length);
    return count + 1;
}

size_t redis_output_parts(const struct redis_output *output, uv_buf_t parts[REDIS_OUTPUT_PARTS])
{
    const char *copied = output->copied.data;
    size_t count = 0;
    size_t from = 0;
    for (size_t i = 0; i < output->loan_count; i++) {
        size_t after = output->loans[i].after;
        count = add_part(parts, count, copied ? copied + from : NULL, after - from);
        count = add_part(parts, count, output->loans[i].bytes.data, output->loans[i].bytes.length);
        from = after;
    }
    return add_part(parts, count, copied ? copied + from : NULL, output->copied.length - from);
}

void redis_output_clear(struct redis_output *output)
{
    output->loan_count = 0;
    if (output->copied.capacity > KEPT_BYTES_MAXIMUM) {
        buffer_wipe(&output->copied);
    } else {
        buffer_clear(&output->copied);
    }
}

void redis_output_wipe(struct redis_output *output)
{
    output->loan_count = 0;
    buffer_wipe(&output->copied);
}
