#include "net/redis_words.h"

#include "redis_command.h"

int redis_words_add(struct redis_words *words, size_t count, const struct text *texts)
{
    redis_command_append(&words->bytes, count, texts);
    int status = buffer_status(&words->bytes);
    if (status < 0) {
        words->bytes.failed = false; /* nothing was appended: what is there is whole */
        return status;
    }
    words->count += count;
    return 0;
}

void redis_words_rewind(struct redis_words *words, const struct redis_words *before)
{
    words->count = before->count;
    words->bytes.length = before->bytes.length;
    if (words->bytes.data) {
        words->bytes.data[words->bytes.length] = '\0';
    }
}

void redis_words_clear(struct redis_words *words)
{
    buffer_clear(&words->bytes);
    words->count = 0;
}

void redis_words_free(struct redis_words *words)
{
    buffer_free(&words->bytes);
    words->count = 0;
}
