#include "batch.h"

#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

int batch_begin(struct batch *batch, struct text events, struct text window)
{
    redis_words_clear(&batch->keys);
    redis_words_clear(&batch->arguments);
    list_init(&batch->puts);
    batch->count = 0;
    int status = redis_words_add(&batch->keys, 1, &events);
    return status == 0 ? redis_words_add(&batch->arguments, 1, &window) : status;
}

int batch_add(struct batch *batch, struct queue_put *put, struct text mark,
              const struct text arguments[BATCH_ARGUMENTS])
{
    struct redis_words before = batch->keys;
    int status = redis_words_add(&batch->keys, 1, &mark);
    if (status < 0) {
        return status;
    }
    status = redis_words_add(&batch->arguments, BATCH_ARGUMENTS, arguments);
    if (status < 0) {
        redis_words_rewind(&batch->keys, &before);
        return status;
    }
    list_append(&batch->puts, &put->link);
    batch->count++;
    return 0;
}

size_t batch_bytes(const struct batch *batch)
{
    return batch->keys.bytes.length + batch->arguments.bytes.length;
}

/* Tells each what became of it. Without a list of as many answers, nobody knows. */
static void end(struct batch *batch, const redisReply *reply)
{
    bool answered = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == batch->count;
    struct list *first;
    for (size_t i = 0; (first = list_pop(&batch->puts)) != NULL; i++) {
        batch->on_answer(LIST_OBJECT(first, struct queue_put, link), answered ? reply->element[i] : NULL);
    }
    batch->on_end(batch);
}

static void on_reply(struct redis_call *call, const redisReply *reply)
{
    end(CONTAINER_OF(call, struct batch, call), reply);
}

void batch_send(struct batch *batch, struct redis *redis)
{
    batch->call.callback = on_reply;
    if (redis_script_call_words(redis, &batch->call, &script_put, &batch->keys, &batch->arguments) < 0) {
        batch_give_up(batch);
    }
}

void batch_give_up(struct batch *batch)
{
    end(batch, NULL);
}

void batch_free(struct batch *batch)
{
    redis_words_free(&batch->keys);
    redis_words_free(&batch->arguments);
    free(batch);
}
