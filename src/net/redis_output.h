#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * What a link is going to write, in order: bytes that were copied, and between them bytes that are lent. Pure.
 * {0}: nothing.
 */
#define REDIS_OUTPUT_LOANS 16
#define REDIS_OUTPUT_PARTS (2 * REDIS_OUTPUT_LOANS + 1)

struct redis_output {
    struct buffer copied;
    struct {
        struct text bytes;
        size_t after; /* so many of the copied ones */
    } loans[REDIS_OUTPUT_LOANS];
    size_t loan_count;
};

/*
 * Appends `bytes`, which are copied, and then `lent`: if it `may_lend`, those must stay as they are until it is
 * cleared; else, or if that costs less, they are copied as well. 0 or -ENOMEM: then it is as it was.
 */
MUST_CHECK int redis_output_add(struct redis_output *output, struct text bytes, struct text lent, bool may_lend);

bool redis_output_is_empty(const struct redis_output *output);

/* All of it, borrowed until the next change. Returns how many parts there are. */
size_t redis_output_parts(const struct redis_output *output, uv_buf_t parts[REDIS_OUTPUT_PARTS]);

/* Empties it, and keeps the memory if it is not much. */
void redis_output_clear(struct redis_output *output);

/* Overwrites what was copied, and gives the memory back. */
void redis_output_wipe(struct redis_output *output);
