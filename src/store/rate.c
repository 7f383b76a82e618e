#include "store/rate.h"

#include <inttypes.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct rate_call *call = CONTAINER_OF(redis_call, struct rate_call, call);
    call->callback(call, reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1);
}

int rate_take(struct queue *queue, struct rate_call *call, bool livemode, uint64_t per_minute)
{
    char key[KEY_MAXIMUM];
    char rate[24];
    (void)snprintf(rate, sizeof(rate), "%" PRIu64, per_minute);
    struct text arguments[] = {keys_make(queue_keys(queue), "rate", livemode ? TEXT("live") : TEXT("test"), key),
                               text_of(rate)};
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_rate, 1, ARRAY_LENGTH(arguments), arguments);
}
