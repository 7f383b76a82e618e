#include "store/search.h"

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

static int read_records(const redisReply *reply, struct list *records)
{
    for (size_t i = 2; i < reply->elements; i++) {
        struct record *record;
        int status = record_read(reply->element[i], &record);
        if (status < 0) {
            return status;
        }
        if (status == 0) {
            list_append(records, &record->link);
        }
    }
    return 0;
}

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct search_call *call = CONTAINER_OF(redis_call, struct search_call, call);
    struct list records;
    list_init(&records);
    struct search_page page = {.records = &records};
    if (!reply) {
        page.error = "";
    } else if (reply->type == REDIS_REPLY_ERROR) {
        page.error = reply->str;
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
        page.error = "an unexpected answer";
    } else if (read_records(reply, &records) < 0) {
        page.error = "out of memory";
    } else {
        page.next = (struct text){.data = reply->element[0]->str, .length = (size_t)reply->element[0]->len};
        page.looked = (size_t)reply->element[1]->integer;
    }
    call->callback(call, &page);
}

int search_start(struct queue *queue, struct search_call *call, const struct search_query *query)
{
    static const char *const names[SEARCH_STREAMS] = {
        [SEARCH_EVENTS] = "events", [SEARCH_OUTCOMES] = "outcomes", [SEARCH_DEAD] = "dead", [SEARCH_ACTS] = "acts"};
    char key[KEY_MAXIMUM];
    char look[24];
    char give[24];
    (void)snprintf(key, sizeof(key), "%s%s", queue_keys(queue)->prefix, names[query->stream]);
    (void)snprintf(look, sizeof(look), "%zu", query->look < SEARCH_LOOK_MAXIMUM ? query->look : SEARCH_LOOK_MAXIMUM);
    (void)snprintf(give, sizeof(give), "%zu", query->give);
    struct text arguments[7 + 2 * SEARCH_MATCHES_MAXIMUM] = {
        text_of(key),
        query->newest_first ? TEXT("XREVRANGE") : TEXT("XRANGE"),
        text_of(query->from),
        text_of(query->to),
        text_of(look),
        text_of(give),
        query->with_payload ? TEXT("1") : TEXT("0"),
    };
    size_t count = 7;
    for (size_t i = 0; i < query->match_count; i++) {
        arguments[count++] = text_of(query->matches[i].field);
        arguments[count++] = text_of(query->matches[i].value);
    }
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_search, 1, count, arguments);
}
