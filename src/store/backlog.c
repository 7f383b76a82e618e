#include "store/backlog.h"

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "control_private.h"
#include "script_table.h"

#define PARTS 10
#define GROUP_PARTS 6

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

static struct text text_of_reply(const redisReply *reply)
{
    return (struct text){.data = reply->str, .length = (size_t)reply->len};
}

static void read_group(const redisReply *reply, int64_t now, struct backlog_group *group)
{
    group->name = text_of_reply(reply->element[0]);
    group->consumers = reply->element[1]->integer;
    group->pending = reply->element[2]->integer;
    group->oldest_pending_ms = age_of(reply->element[3], now);
    group->unread = reply->element[4]->integer;
    group->oldest_unread_ms = age_of(reply->element[5], now);
    for (size_t i = GROUP_PARTS; i < reply->elements && group->member_count < BACKLOG_CONSUMERS_MAXIMUM; i++) {
        const redisReply *member = reply->element[i];
        group->members[group->member_count++] = (struct backlog_consumer){.name = text_of_reply(member->element[0]),
                                                                          .pending = member->element[1]->integer,
                                                                          .idle_ms = member->element[2]->integer};
    }
}

/* Redis does not know how many are unread once entries were taken out of the stream (the group's lag is nil then): what
 * is in it and nowhere else is, but for those that have ended and are not taken out yet. */
static void estimate_unread(const struct backlog *backlog, struct backlog_group *group)
{
    int64_t rest = backlog->stream_length - group->pending - backlog->retrying;
    if (group->unread < 0 && text_equal(group->name, TEXT(KEYS_GROUP))) {
        group->unread = rest > 1 ? rest : 1;
    }
}

static void read_backlog(const redisReply *reply, struct backlog *backlog)
{
    const redisReply *groups = reply->element[9];
    *backlog = (struct backlog){
        .now_ms = reply->element[0]->integer,
        .stream_length = reply->element[1]->integer,
        .retrying = reply->element[2]->integer,
        .next_retry_ms = reply->element[3]->integer,
        .dead = reply->element[4]->integer,
        .due = reply->element[5]->integer,
        .held = reply->element[6]->integer,
        .waiting_turn = reply->element[7]->integer,
    };
    control_parse(reply->element[8], &backlog->control);
    for (size_t i = 0; i < groups->elements && backlog->group_count < BACKLOG_GROUPS_MAXIMUM; i++) {
        struct backlog_group *group = &backlog->groups[backlog->group_count++];
        read_group(groups->element[i], backlog->now_ms, group);
        estimate_unread(backlog, group);
    }
}

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct backlog_call *call = CONTAINER_OF(redis_call, struct backlog_call, call);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < PARTS) {
        call->callback(call, NULL, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        return;
    }
    struct backlog *backlog = malloc(sizeof(*backlog)); /* too large for a stack */
    if (!backlog) {
        call->callback(call, NULL, "out of memory");
        return;
    }
    read_backlog(reply, backlog);
    call->callback(call, backlog, NULL);
    free(backlog);
}

int backlog_read(struct queue *queue, struct backlog_call *call)
{
    const struct keys *keys = queue_keys(queue);
    char schedule[16];
    char consumers[16];
    (void)snprintf(schedule, sizeof(schedule), "%d", BACKLOG_SCHEDULE_MAXIMUM);
    (void)snprintf(consumers, sizeof(consumers), "%d", BACKLOG_CONSUMERS_MAXIMUM);
    struct text arguments[] = {
        text_of(keys->events), text_of(keys->retry),   text_of(keys->dead), text_of(keys->attempts),
        text_of(keys->held),   text_of(keys->control), text_of(schedule),   text_of(consumers),
    };
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_backlog, 6, ARRAY_LENGTH(arguments), arguments);
}
