#include "store/question.h"

#include <inttypes.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "base/buffer.h"
#include "script_table.h"

static void append(struct buffer *out, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        buffer_append_format(out, "%lld", reply->integer);
    } else if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) {
        buffer_append(out, (struct text){.data = reply->str, .length = (size_t)reply->len});
    }
}

static void on_answer(struct redis_call *call, const redisReply *reply)
{
    struct question *question = CONTAINER_OF(call, struct question, call);
    struct buffer out = {0};
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        question->callback(question, TEXT(""), reply ? reply->str : "");
        return;
    }
    append(&out, reply);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        append(&out, reply->element[i]);
        buffer_append_byte(&out, '\n');
    }
    question->callback(question, buffer_text(&out), NULL);
    buffer_free(&out);
}

int question_ask(struct queue *queue, struct question *question, size_t count, const struct text *words)
{
    question->call.callback = on_answer;
    return redis_command(queue_redis(queue), &question->call, count, words);
}

int question_ask_rights(struct queue *queue, struct question *question)
{
    static const char *const names[] = {"stream", "zset", "hash", "text"};
    char keys[ARRAY_LENGTH(names)][KEY_MAXIMUM];
    struct text arguments[ARRAY_LENGTH(names)];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        arguments[i] = keys_make(queue_keys(queue), "doctor", text_of(names[i]), keys[i]);
    }
    question->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &question->call, &script_rights, ARRAY_LENGTH(arguments),
                             ARRAY_LENGTH(arguments), arguments);
}
