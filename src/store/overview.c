#include "store/overview.h"

#include <stdio.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

#define PARTS 4
#define OUTCOME_PARTS 7

static struct text text_of_reply(const redisReply *reply)
{
    return (struct text){.data = reply->str, .length = (size_t)reply->len};
}

static int64_t number_of_reply(const redisReply *reply)
{
    uint64_t number;
    return text_to_unsigned(text_of_reply(reply), INT64_MAX, &number) == 0 ? (int64_t)number : -1;
}

static void read_outcomes(const redisReply *reply, struct overview *overview)
{
    for (size_t i = 0; i < reply->elements && overview->outcome_count < OVERVIEW_OUTCOMES_MAXIMUM; i++) {
        redisReply *const *parts = reply->element[i]->element;
        if (reply->element[i]->elements == OUTCOME_PARTS) {
            overview->outcomes[overview->outcome_count++] = (struct overview_outcome){
                .event = text_of_reply(parts[0]),
                .type = text_of_reply(parts[1]),
                .session = text_of_reply(parts[2]),
                .outcome = text_of_reply(parts[3]),
                .effects = text_of_reply(parts[4]),
                .received_ms = number_of_reply(parts[5]),
                .at_ms = number_of_reply(parts[6]),
            };
        }
    }
}

static void read_reasons(const redisReply *reply, struct overview *overview)
{
    for (size_t i = 0; i + 1 < reply->elements && overview->reason_count < OVERVIEW_REASONS_MAXIMUM; i += 2) {
        overview->reasons[overview->reason_count++] = (struct overview_reason){
            .reason = text_of_reply(reply->element[i]), .count = reply->element[i + 1]->integer};
    }
}

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct overview_call *call = CONTAINER_OF(redis_call, struct overview_call, call);
    struct overview overview = {0};
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != PARTS) {
        call->callback(call, NULL);
        return;
    }
    const redisReply *lately = reply->element[1];
    read_outcomes(reply->element[0], &overview);
    for (size_t i = 0; i < OVERVIEW_ENDINGS; i++) {
        overview.lately[i] = lately->element[i]->integer;
    }
    overview.cut = lately->element[OVERVIEW_ENDINGS]->integer == 1;
    overview.dead_looked = reply->element[2]->integer;
    read_reasons(reply->element[3], &overview);
    call->callback(call, &overview);
}

int overview_read(struct queue *queue, struct overview_call *call)
{
    const struct keys *keys = queue_keys(queue);
    char numbers[4][16];
    static const int values[] = {OVERVIEW_OUTCOMES_MAXIMUM, OVERVIEW_WINDOW_MS, OVERVIEW_COUNTED_MAXIMUM,
                                 OVERVIEW_DEAD_MAXIMUM};
    struct text arguments[2 + ARRAY_LENGTH(values)] = {text_of(keys->outcomes), text_of(keys->dead)};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%d", values[i]);
        arguments[2 + i] = text_of(numbers[i]);
    }
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_overview, 2, ARRAY_LENGTH(arguments), arguments);
}
