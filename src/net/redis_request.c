#include "redis_request.h"

#include <stdlib.h>

#include "base/decimal.h"
#include "redis_command.h"

void redis_request_command(struct redis_request *request, size_t count, const struct text *arguments)
{
    redis_command_begin(&request->bytes, count);
    redis_command_append(&request->bytes, count, arguments);
}

/* "EVALSHA digest numkeys": what comes before so many words, of which so many are keys. */
static void begin_script(struct redis_request *request, const struct redis_script *script, size_t keys, size_t count)
{
    struct buffer *bytes = &request->bytes;
    char number[DECIMAL_SIZE];
    struct text key_count = decimal_write(keys, number);
    request->script = script;
    request->argument_count = count;
    redis_command_begin(bytes, count + 3);
    redis_command_append(bytes, 2, (struct text[]){TEXT("EVALSHA"), {.data = script->digest, .length = 40}});
    request->tail = bytes->length;
    redis_command_append(bytes, 1, &key_count);
}

void redis_request_script(struct redis_request *request, const struct redis_script *script, size_t keys, size_t count,
                          const struct text *arguments)
{
    begin_script(request, script, keys, count);
    redis_command_append(&request->bytes, count, arguments);
}

void redis_request_script_words(struct redis_request *request, const struct redis_script *script,
                                const struct redis_words *keys, const struct redis_words *arguments)
{
    begin_script(request, script, keys->count, keys->count + arguments->count);
    buffer_append(&request->bytes, buffer_text(&keys->bytes));
    request->lent = buffer_text(&arguments->bytes);
}

size_t redis_request_size(const struct redis_request *request)
{
    return request->bytes.length + request->lent.length;
}

int redis_request_spell_out(struct redis_request *request)
{
    struct buffer whole = {0};
    if (!request->script) {
        return 0;
    }
    redis_command_begin(&whole, request->argument_count + 3);
    redis_command_append(&whole, 2, (struct text[]){TEXT("EVAL"), text_of(request->script->source)});
    buffer_append(&whole, (struct text){.data = request->bytes.data + request->tail,
                                        .length = request->bytes.length - request->tail});
    buffer_append(&whole, request->lent);
    int status = buffer_status(&whole);
    if (status < 0) {
        buffer_free(&whole);
        return status;
    }
    buffer_free(&request->bytes);
    request->bytes = whole;
    request->lent = (struct text){0};
    request->script = NULL;
    return 0;
}

void redis_request_clear(struct redis_request *request)
{
    buffer_clear(&request->bytes);
    request->lent = (struct text){0};
    request->script = NULL;
}

void redis_request_free(struct redis_request *request)
{
    if (request) {
        buffer_free(&request->bytes);
        free(request);
    }
}
