#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Words of a command as they go over the wire (bulk strings of RESP), encoded one by one: for a command that is put
 * together bit by bit. Pure. {0}: none yet; redis_words_free() makes it that again.
 */
struct redis_words {
    struct buffer bytes;
    size_t count;
};

/* Adds all of `texts`, which are copied, or with -ENOMEM none of them. */
MUST_CHECK int redis_words_add(struct redis_words *words, size_t count, const struct text *texts);

/* Takes off what was added since *words was copied to *before. */
void redis_words_rewind(struct redis_words *words, const struct redis_words *before);

/* Takes off all, and keeps the memory for the next ones. */
void redis_words_clear(struct redis_words *words);

void redis_words_free(struct redis_words *words);
