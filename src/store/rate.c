#include "store/rate.h"

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "script_table.h"

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct rate_call *call = CONTAINER_OF(redis_call, struct rate_call, call);
    bool fine = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    call->now_ms = fine ? reply->element[1]->integer : 0;
    call->callback(call, fine ? reply->element[0]->integer : -1);
}

/* The keys of a mode, as the first two arguments. */
static void put_keys(struct queue *queue, bool livemode, char keys[2][KEY_MAXIMUM], struct text arguments[2])
{
    struct text mode = livemode ? TEXT("live") : TEXT("test");
    arguments[0] = keys_make(queue_keys(queue), "rate", mode, keys[0]);
    arguments[1] = keys_make(queue_keys(queue), "slow", mode, keys[1]);
}

int rate_take(struct queue *queue, struct rate_call *call, bool livemode, uint64_t per_minute)
{
    char keys[2][KEY_MAXIMUM];
    char rate[DECIMAL_SIZE];
    struct text arguments[3] = {[2] = decimal_write(per_minute, rate)};
    put_keys(queue, livemode, keys, arguments);
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_rate, 2, ARRAY_LENGTH(arguments), arguments);
}

int rate_slow(struct queue *queue, struct redis_call *call, bool livemode, uint64_t pause_ms)
{
    char keys[2][KEY_MAXIMUM];
    char pause[DECIMAL_SIZE];
    struct text arguments[3] = {[2] = decimal_write(pause_ms, pause)};
    put_keys(queue, livemode, keys, arguments);
    return redis_script_call(queue_redis(queue), call, &script_rate_slow, 2, ARRAY_LENGTH(arguments), arguments);
}
