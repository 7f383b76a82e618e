#include "store/control.h"

#include <inttypes.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "control_private.h"
#include "script_table.h"

/* ---- reading */

static struct text text_of_reply(const redisReply *reply)
{
    return (struct text){.data = reply->str, .length = (size_t)reply->len};
}

/* "AT_MS BY REASON" */
static void read_pause(struct control *control, const redisReply *field, const redisReply *value)
{
    struct text rest = text_of_reply(value);
    uint64_t at_ms;
    if (control->count == CONTROL_PAUSES_MAXIMUM) {
        return;
    }
    struct control_pause *pause = &control->pauses[control->count++];
    pause->what = text_of_reply(field);
    pause->at_ms = text_to_unsigned(text_cut(&rest, ' '), INT64_MAX, &at_ms) == 0 ? (int64_t)at_ms : -1;
    pause->by = text_cut(&rest, ' ');
    pause->reason = rest;
}

void control_parse(const redisReply *reply, struct control *control)
{
    control->count = 0;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        read_pause(control, reply->element[i], reply->element[i + 1]);
    }
}

static void on_read(struct redis_call *redis_call, const redisReply *reply)
{
    struct control_call *call = CONTAINER_OF(redis_call, struct control_call, call);
    struct control control;
    if (!reply || reply->type != REDIS_REPLY_ARRAY) {
        call->callback(call, NULL, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        return;
    }
    control_parse(reply, &control);
    call->callback(call, &control, NULL);
}

int control_read(struct queue *queue, struct control_call *call)
{
    struct text arguments[] = {TEXT("HGETALL"), text_of(queue_keys(queue)->control)};
    call->call.callback = on_read;
    return redis_command(queue_redis(queue), &call->call, ARRAY_LENGTH(arguments), arguments);
}

bool control_has(const struct control *control, const char *what)
{
    for (size_t i = 0; i < control->count; i++) {
        if (text_equal(control->pauses[i].what, text_of(what))) {
            return true;
        }
    }
    return false;
}

/* ---- acting */

static void on_act(struct redis_call *redis_call, const redisReply *reply)
{
    struct control_act_call *call = CONTAINER_OF(redis_call, struct control_act_call, call);
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        call->callback(call, reply->element[0]->integer == 1, (size_t)reply->element[1]->integer, NULL);
    } else {
        call->callback(call, false, 0, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    }
}

int control_pause(struct queue *queue, struct control_act_call *call, const struct control_act *act)
{
    const struct keys *keys = queue_keys(queue);
    char keep[24];
    (void)snprintf(keep, sizeof(keep), "%" PRIu64, queue_dedupe_window_ms(queue));
    struct text arguments[] = {text_of(keys->control), text_of(keys->acts),  text_of(act->what),
                               text_of(act->by),       text_of(act->reason), text_of(keep)};
    call->call.callback = on_act;
    return redis_script_call(queue_redis(queue), &call->call, &script_control_pause, 2, ARRAY_LENGTH(arguments),
                             arguments);
}

int control_resume(struct queue *queue, struct control_act_call *call, const struct control_act *act)
{
    const struct keys *keys = queue_keys(queue);
    char keep[24];
    char batch[16];
    (void)snprintf(keep, sizeof(keep), "%" PRIu64, queue_dedupe_window_ms(queue));
    (void)snprintf(batch, sizeof(batch), "%d", CONTROL_BATCH);
    struct text arguments[] = {text_of(keys->control), text_of(keys->acts), text_of(keys->held),
                               text_of(keys->retry),   text_of(act->what),  text_of(act->by),
                               text_of(act->reason),   text_of(keep),       text_of(batch)};
    call->call.callback = on_act;
    return redis_script_call(queue_redis(queue), &call->call, &script_control_resume, 4, ARRAY_LENGTH(arguments),
                             arguments);
}
