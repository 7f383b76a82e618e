#include "store/backlog.h"

#include <stdio.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

/* The age of what has the stream id `reply`, whose first part is the time at which it was added. */
static int64_t age_of(const redisReply *reply, int64_t now)
{
    struct text rest = {.data = reply->str, .length = (size_t)reply->len};
    uint64_t added;
    if (rest.length == 0 || text_to_unsigned(text_cut(&rest, '-'), INT64_MAX, &added) < 0) {
        return -1;
    }
    return now > (int64_t)added ? now - (int64_t)added : 0;
}

static void read_group(const redisReply *reply, int64_t now, struct backlog_group *group)
{
    (void)snprintf(group->name, sizeof(group->name), "%s", reply->element[0]->str);
    group->consumers = reply->element[1]->integer;
    group->pending = reply->element[2]->integer;
    group->oldest_pending_ms = age_of(reply->element[3], now);
    group->unread = reply->element[4]->integer;
    group->oldest_unread_ms = age_of(reply->element[5], now);
}

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct backlog_call *call = CONTAINER_OF(redis_call, struct backlog_call, call);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 5) {
        call->callback(call, NULL);
        return;
    }
    struct backlog backlog = {
        .stream_length = reply->element[1]->integer,
        .retrying = reply->element[2]->integer,
        .next_retry_ms = reply->element[3]->integer,
        .dead = reply->element[4]->integer,
    };
    for (size_t i = 5; i < reply->elements && backlog.group_count < BACKLOG_GROUPS_MAXIMUM; i++) {
        read_group(reply->element[i], reply->element[0]->integer, &backlog.groups[backlog.group_count++]);
    }
    call->callback(call, &backlog);
}

int backlog_read(struct queue *queue, struct backlog_call *call)
{
    const struct keys *keys = queue_keys(queue);
    struct text arguments[] = {text_of(keys->events), text_of(keys->retry), text_of(keys->dead)};
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_backlog, 3, ARRAY_LENGTH(arguments), arguments);
}
