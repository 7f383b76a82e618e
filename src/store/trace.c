#include "store/trace.h"

#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

#define PARTS 10

static int64_t number(const redisReply *reply, int64_t otherwise)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        return reply->integer;
    }
    return reply->type == REDIS_REPLY_STRING && reply->len > 0 ? strtoll(reply->str, NULL, 10) : otherwise;
}

static void read_ledger(struct trace *trace, const redisReply *reply)
{
    for (size_t i = 0; i + 1 < reply->elements && trace->ledger_count < TRACE_LEDGER_MAXIMUM; i += 2) {
        trace->ledger[trace->ledger_count++] =
            (struct trace_field){.name = reply->element[i]->str, .value = reply->element[i + 1]->str};
    }
}

static bool is_trace(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == PARTS &&
           reply->element[2]->type == REDIS_REPLY_ARRAY && reply->element[5]->type == REDIS_REPLY_ARRAY;
}

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct trace_call *call = CONTAINER_OF(redis_call, struct trace_call, call);
    if (!is_trace(reply)) {
        call->callback(call, NULL, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        return;
    }
    const redisReply *pending = reply->element[5];
    struct trace trace = {
        .now_ms = number(reply->element[0], 0),
        .mark_ms = number(reply->element[1], 0),
        .due_ms = number(reply->element[3], -1),
        .failures = number(reply->element[4], 0),
        .pending = pending->elements == 3,
        .consumer = pending->elements == 3 ? pending->element[0]->str : "",
        .idle_ms = pending->elements == 3 ? number(pending->element[1], 0) : 0,
        .delivered = number(reply->element[6], 0) == 1,
        .turn = reply->element[7]->str,
        .ahead = number(reply->element[8], -1),
        .held = number(reply->element[9], 0) == 1,
    };
    read_ledger(&trace, reply->element[2]);
    call->callback(call, &trace, NULL);
}

int trace_start(struct queue *queue, struct trace_call *call, const struct trace_query *query)
{
    const struct keys *keys = queue_keys(queue);
    char seen[KEY_MAXIMUM];
    char ledger[KEY_MAXIMUM];
    char turn[KEY_MAXIMUM];
    char waiting[KEY_MAXIMUM];
    struct text arguments[] = {
        keys_make(keys, "seen", query->event, seen),
        keys_make(keys, "effects", query->event, ledger),
        text_of(keys->events),
        text_of(keys->retry),
        text_of(keys->attempts),
        keys_make(keys, "turn", query->session, turn),
        keys_make(keys, "waiting", query->session, waiting),
        text_of(keys->held),
        TEXT(KEYS_GROUP),
        query->id,
    };
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_trace, 8, ARRAY_LENGTH(arguments), arguments);
}
