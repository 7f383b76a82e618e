#include "store/watermark.h"

#include <hiredis/hiredis.h>

#include "base/decimal.h"
#include "script_table.h"

static void on_begun(struct redis_call *redis_call, const redisReply *reply)
{
    struct watermark_call *call = CONTAINER_OF(redis_call, struct watermark_call, call);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
        call->callback(call, WATERMARK_UNKNOWN);
        return;
    }
    call->wait_ms = reply->element[1]->integer > 0 ? (uint64_t)reply->element[1]->integer : 0;
    call->through = reply->element[2]->integer;
    call->callback(call, reply->element[0]->integer == 1 ? WATERMARK_OURS : WATERMARK_NOT_NOW);
}

static void on_kept(struct redis_call *redis_call, const redisReply *reply)
{
    struct watermark_call *call = CONTAINER_OF(redis_call, struct watermark_call, call);
    enum watermark_outcome outcome = WATERMARK_UNKNOWN;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        outcome = reply->integer == 1 ? WATERMARK_OURS : WATERMARK_NOT_NOW;
    }
    call->callback(call, outcome);
}

int watermark_begin(struct queue *queue, struct watermark_call *call, const char *holder, uint64_t lease_ms,
                    uint64_t rest_ms)
{
    char lease[DECIMAL_SIZE];
    char rest[DECIMAL_SIZE];
    struct text arguments[] = {text_of(queue_keys(queue)->reconcile), text_of(holder), decimal_write(lease_ms, lease),
                               decimal_write(rest_ms, rest)};
    call->call.callback = on_begun;
    return redis_script_call(queue_redis(queue), &call->call, &script_watermark_begin, 1, ARRAY_LENGTH(arguments),
                             arguments);
}

static int keep(struct queue *queue, struct watermark_call *call, const char *holder, struct text lease,
                struct text through)
{
    struct text arguments[] = {text_of(queue_keys(queue)->reconcile), text_of(holder), lease, through};
    call->call.callback = on_kept;
    return redis_script_call(queue_redis(queue), &call->call, &script_watermark_keep, 1, ARRAY_LENGTH(arguments),
                             arguments);
}

int watermark_keep(struct queue *queue, struct watermark_call *call, const char *holder, uint64_t lease_ms)
{
    char lease[DECIMAL_SIZE];
    return keep(queue, call, holder, decimal_write(lease_ms, lease), TEXT(""));
}

int watermark_end(struct queue *queue, struct watermark_call *call, const char *holder, int64_t through)
{
    char digits[DECIMAL_SIZE];
    return keep(queue, call, holder, TEXT("0"), decimal_write((uint64_t)through, digits));
}
