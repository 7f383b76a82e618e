#include "store/pace.h"

#include <stdio.h>

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "script_table.h"

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct pace_call *call = CONTAINER_OF(redis_call, struct pace_call, call);
    call->callback(call, reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1);
}

int pace_take(struct queue *queue, struct pace_call *call, const struct pace_limit limits[PACE_LIMITS])
{
    char keys[PACE_LIMITS][KEY_MAXIMUM];
    char rates[PACE_LIMITS][DECIMAL_SIZE];
    struct text arguments[2 * PACE_LIMITS];
    for (size_t i = 0; i < PACE_LIMITS; i++) {
        char name[96];
        int length = snprintf(name, sizeof(name), "%s:%.*s", limits[i].kind, TEXT_ARGUMENTS(limits[i].name));
        arguments[i] = keys_make(queue_keys(queue), "pace", (struct text){name, (size_t)length}, keys[i]);
        arguments[PACE_LIMITS + i] = decimal_write(limits[i].per_minute, rates[i]);
    }
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_pace, PACE_LIMITS, ARRAY_LENGTH(arguments),
                             arguments);
}
