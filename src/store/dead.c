#include "store/dead.h"

#include <inttypes.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct dead_call *call = CONTAINER_OF(redis_call, struct dead_call, call);
    if (reply && reply->type == REDIS_REPLY_STRING) {
        call->callback(call, (struct text){.data = reply->str, .length = (size_t)reply->len}, NULL);
    } else {
        call->callback(call, TEXT(""), reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    }
}

static int replay(struct queue *queue, struct dead_call *call, const struct dead_act_options *options, const char *keep)
{
    const struct keys *keys = queue_keys(queue);
    char ledger[KEY_MAXIMUM];
    char seen[KEY_MAXIMUM];
    struct text arguments[] = {
        text_of(keys->dead),
        text_of(keys->events),
        keys_make(keys, "effects", options->event, ledger),
        keys_make(keys, "seen", options->event, seen),
        text_of(keys->acts),
        options->letter,
        options->event,
        text_of(keep),
        text_of(options->by),
        text_of(options->reason),
    };
    return redis_script_call(queue_redis(queue), &call->call, &script_replay, 5, ARRAY_LENGTH(arguments), arguments);
}

static int discard(struct queue *queue, struct dead_call *call, const struct dead_act_options *options,
                   const char *keep)
{
    const struct keys *keys = queue_keys(queue);
    char ledger[KEY_MAXIMUM];
    char history[24];
    (void)snprintf(history, sizeof(history), "%" PRIu64, queue_history_ms(queue));
    struct text arguments[] = {
        text_of(keys->dead),  keys_make(keys, "effects", options->event, ledger),
        text_of(keys->acts),  options->letter,
        options->event,       text_of(keep),
        text_of(options->by), text_of(options->reason),
        text_of(history),
    };
    return redis_script_call(queue_redis(queue), &call->call, &script_discard, 3, ARRAY_LENGTH(arguments), arguments);
}

int dead_act_start(struct queue *queue, struct dead_call *call, const struct dead_act_options *options)
{
    char keep[24];
    (void)snprintf(keep, sizeof(keep), "%" PRIu64, queue_dedupe_window_ms(queue));
    call->call.callback = on_answer;
    return options->act == DEAD_REPLAY ? replay(queue, call, options, keep) : discard(queue, call, options, keep);
}
