#include "store/lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "script_table.h"

/* ---- opening: the ledger */

static unsigned bit_of(const struct lease_call *call, const char *name)
{
    for (size_t i = 0; i < call->effect_count; i++) {
        if (strcmp(call->effects[i], name) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

/* "failed:EFFECT" -> "REASON ERROR" */
static void read_failure(struct lease_call *call, const char *effect, const char *value)
{
    unsigned bit = bit_of(call, effect);
    const char *blank = strchr(value, ' ');
    if (bit != 0 && blank) {
        char reason[JOB_REASON_SIZE];
        (void)snprintf(reason, sizeof(reason), "%.*s", (int)(blank - value), value);
        job_fault_set(&call->ledger.fault, reason, "%s", blank + 1);
        call->ledger.failed |= bit;
    }
}

static void read_ledger(struct lease_call *call, const redisReply *reply)
{
    call->ledger.failures = (unsigned)reply->element[0]->integer;
    call->ledger.takeovers = reply->element[1]->integer > 0 ? (unsigned)reply->element[1]->integer - 1 : 0;
    for (size_t i = 2; i + 1 < reply->elements; i += 2) {
        const char *field = reply->element[i]->str;
        if (strncmp(field, "failed:", 7) == 0) {
            read_failure(call, field + 7, reply->element[i + 1]->str);
        } else {
            call->ledger.done |= bit_of(call, field);
        }
    }
}

static void on_open(struct redis_call *redis_call, const redisReply *reply)
{
    struct lease_call *call = CONTAINER_OF(redis_call, struct lease_call, call);
    enum lease_outcome outcome = LEASE_UNKNOWN;
    call->ledger = (struct lease_ledger){0};
    if (reply && reply->type == REDIS_REPLY_ARRAY) {
        outcome = reply->elements >= 2 ? LEASE_DONE : LEASE_LOST;
    }
    if (outcome == LEASE_DONE) {
        read_ledger(call, reply);
    }
    call->callback(call, outcome);
}

int lease_open(const struct lease *lease, struct lease_call *call)
{
    const struct keys *keys = queue_keys(lease->queue);
    char ledger[KEY_MAXIMUM];
    struct text arguments[] = {
        text_of(keys->events), text_of(keys->attempts),  keys_make(keys, "effects", lease->entry->event, ledger),
        TEXT(KEYS_GROUP),      text_of(lease->consumer), lease->entry->id};
    call->call.callback = on_open;
    return redis_script_call(queue_redis(lease->queue), &call->call, &script_open, 3, ARRAY_LENGTH(arguments),
                             arguments);
}

/* ---- the others answer 1, or 0 for "lost" */

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct lease_call *call = CONTAINER_OF(redis_call, struct lease_call, call);
    enum lease_outcome outcome = LEASE_UNKNOWN;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        outcome = reply->integer == 1 ? LEASE_DONE : LEASE_LOST;
    } else if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOGROUP", 7) == 0) {
        outcome = LEASE_LOST; /* the group vanished; made anew from the beginning, it will deliver the event again */
    }
    call->callback(call, outcome);
}

static int call_script(const struct lease *lease, struct lease_call *call, const struct redis_script *script,
                       size_t keys, size_t count, const struct text *arguments)
{
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(lease->queue), &call->call, script, keys, count, arguments);
}

static int record(const struct lease *lease, struct lease_call *call, const char *field, const char *value)
{
    const struct keys *keys = queue_keys(lease->queue);
    char ledger[KEY_MAXIMUM];
    char keep[24];
    (void)snprintf(keep, sizeof(keep), "%" PRIu64, queue_dedupe_window_ms(lease->queue));
    struct text arguments[] = {text_of(keys->events), keys_make(keys, "effects", lease->entry->event, ledger),
                               TEXT(KEYS_GROUP),      text_of(lease->consumer),
                               lease->entry->id,      text_of(field),
                               text_of(value),        text_of(keep)};
    return call_script(lease, call, &script_record, 2, ARRAY_LENGTH(arguments), arguments);
}

int lease_record_done(const struct lease *lease, struct lease_call *call, const char *effect)
{
    return record(lease, call, effect, "");
}

int lease_record_failed(const struct lease *lease, struct lease_call *call, const char *effect,
                        const struct job_fault *fault)
{
    char field[64];
    char value[JOB_REASON_SIZE + JOB_ERROR_SIZE];
    (void)snprintf(field, sizeof(field), "failed:%s", effect);
    (void)snprintf(value, sizeof(value), "%s %s", fault->reason, fault->error);
    return record(lease, call, field, value);
}

int lease_finish(const struct lease *lease, struct lease_call *call, const struct lease_ending *ending)
{
    const struct keys *keys = queue_keys(lease->queue);
    struct text arguments[] = {
        text_of(keys->events),    text_of(keys->outcomes), text_of(keys->attempts), TEXT(KEYS_GROUP),
        text_of(lease->consumer), lease->entry->id,        lease->entry->event,     lease->entry->type,
        lease->entry->session,    text_of(ending->user),   text_of(ending->status), text_of(ending->outcome),
        text_of(ending->effects),
    };
    return call_script(lease, call, &script_finish, 3, ARRAY_LENGTH(arguments), arguments);
}

int lease_bury(const struct lease *lease, struct lease_call *call, const struct lease_ending *ending,
               const struct job_fault *fault, unsigned attempts)
{
    const struct keys *keys = queue_keys(lease->queue);
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", attempts);
    struct text arguments[] = {
        text_of(keys->events),    text_of(keys->outcomes),  text_of(keys->attempts), text_of(keys->dead),
        TEXT(KEYS_GROUP),         text_of(lease->consumer), lease->entry->id,        lease->entry->event,
        lease->entry->type,       lease->entry->session,    text_of(ending->user),   text_of(ending->status),
        text_of(ending->outcome), text_of(ending->effects), text_of(fault->reason),  text_of(fault->error),
        text_of(number),
    };
    return call_script(lease, call, &script_bury, 4, ARRAY_LENGTH(arguments), arguments);
}

static int schedule(const struct lease *lease, struct lease_call *call, uint64_t delay_ms, const char *failures)
{
    const struct keys *keys = queue_keys(lease->queue);
    char delay[24];
    (void)snprintf(delay, sizeof(delay), "%" PRIu64, delay_ms);
    struct text arguments[] = {text_of(keys->events), text_of(keys->retry),     text_of(keys->attempts),
                               TEXT(KEYS_GROUP),      text_of(lease->consumer), lease->entry->id,
                               text_of(delay),        text_of(failures)};
    return call_script(lease, call, &script_retry, 3, ARRAY_LENGTH(arguments), arguments);
}

int lease_retry(const struct lease *lease, struct lease_call *call, uint64_t delay_ms)
{
    return schedule(lease, call, delay_ms, "1");
}

int lease_release(const struct lease *lease, struct lease_call *call)
{
    return schedule(lease, call, 0, "0");
}

/* ---- for all events of a consumer */

int lease_renew(struct queue *queue, const char *consumer, const struct text *ids, size_t count,
                struct redis_call *call)
{
    struct text *arguments = malloc((3 + count) * sizeof(*arguments));
    if (!arguments) {
        return -ENOMEM;
    }
    arguments[0] = text_of(queue_keys(queue)->events);
    arguments[1] = TEXT(KEYS_GROUP);
    arguments[2] = text_of(consumer);
    memcpy(arguments + 3, ids, count * sizeof(*ids));
    int status = redis_script_call(queue_redis(queue), call, &script_renew, 1, 3 + count, arguments);
    free(arguments);
    return status;
}

int lease_surrender(struct queue *queue, const char *consumer, struct redis_call *call)
{
    char batch[16];
    (void)snprintf(batch, sizeof(batch), "%d", LEASE_SURRENDER_BATCH);
    struct text arguments[] = {text_of(queue_keys(queue)->events), text_of(queue_keys(queue)->retry), TEXT(KEYS_GROUP),
                               text_of(consumer), text_of(batch)};
    return redis_script_call(queue_redis(queue), call, &script_surrender, 2, ARRAY_LENGTH(arguments), arguments);
}
