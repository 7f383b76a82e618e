#include "store/trim.h"

#include <inttypes.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

static void read_groups(const redisReply *reply, size_t first, struct trim_report *report)
{
    for (size_t i = first; i + 2 < reply->elements && report->group_count < TRIM_GROUPS_MAXIMUM; i += 3) {
        struct trim_group *group = &report->groups[report->group_count++];
        (void)snprintf(group->stream, sizeof(group->stream), "%s", reply->element[i]->str);
        (void)snprintf(group->name, sizeof(group->name), "%s", reply->element[i + 1]->str);
        group->age_ms = reply->element[i + 2]->integer;
    }
}

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct trim_call *call = CONTAINER_OF(redis_call, struct trim_call, call);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
        call->callback(call, NULL);
        return;
    }
    struct trim_report report = {.ours = reply->element[0]->integer == 1,
                                 .stalled = (uint64_t)reply->element[1]->integer};
    if (report.ours && reply->elements >= 6) {
        report.events = (uint64_t)reply->element[2]->integer;
        report.outcomes = (uint64_t)reply->element[3]->integer;
        report.more = reply->element[4]->integer == 1;
        (void)snprintf(call->cursor, sizeof(call->cursor), "%s", reply->element[5]->str);
        read_groups(reply, 6, &report);
    }
    call->callback(call, &report);
}

int trim_step(struct queue *queue, struct trim_call *call)
{
    const struct keys *keys = queue_keys(queue);
    char every[24];
    char history[24];
    char stalled[24];
    char forgotten[24];
    (void)snprintf(every, sizeof(every), "%" PRIu64, call->every_ms);
    (void)snprintf(history, sizeof(history), "%" PRIu64, queue_history_ms(queue));
    (void)snprintf(stalled, sizeof(stalled), "%" PRIu64, call->stalled_ms);
    (void)snprintf(forgotten, sizeof(forgotten), "%" PRIu64, call->forgotten_ms);
    struct text arguments[] = {
        text_of(keys->events),
        text_of(keys->outcomes),
        text_of(keys->retry),
        text_of(keys->trimmer),
        TEXT(KEYS_GROUP),
        text_of(call->consumer),
        text_of(every),
        text_of(history),
        text_of(stalled),
        text_of(forgotten),
        text_of(call->cursor[0] ? call->cursor : "-"),
        call->begins ? TEXT("1") : TEXT("0"),
    };
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_trim, 4, ARRAY_LENGTH(arguments), arguments);
}
