#include "store/lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "script_table.h"
#include "store/control.h"

/* Set anew with each try: a ledger goes by itself only when its event's entry was taken out of Redis by somebody. */
#define LEDGER_KEEP_MS "7776000000"

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
    call->ledger.failures = (unsigned)reply->element[1]->integer;
    call->ledger.takeovers = reply->element[2]->integer > 0 ? (unsigned)reply->element[2]->integer - 1 : 0;
    for (size_t i = 3; i + 1 < reply->elements; i += 2) {
        const char *field = reply->element[i]->str;
        if (strncmp(field, "failed:", 7) == 0) {
            read_failure(call, field + 7, reply->element[i + 1]->str);
        } else if (strncmp(field, "skipped:", 8) == 0) {
            call->ledger.skipped |= bit_of(call, field + 8);
        } else if (strcmp(field, "frozen") == 0) {
            call->frozen = (struct text){.data = reply->element[i + 1]->str, .length = reply->element[i + 1]->len};
        } else {
            call->ledger.done |= bit_of(call, field);
        }
    }
}

static void on_open(struct redis_call *redis_call, const redisReply *reply)
{
    static const enum lease_outcome outcomes[] = {LEASE_LOST, LEASE_DONE, LEASE_WAITS, LEASE_SETTLED};
    struct lease_call *call = CONTAINER_OF(redis_call, struct lease_call, call);
    enum lease_outcome outcome = LEASE_UNKNOWN;
    call->ledger = (struct lease_ledger){0};
    call->frozen = call->mail;
    call->handed_on = false;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
        outcome = outcomes[reply->element[0]->integer];
    }
    if (outcome == LEASE_DONE) {
        read_ledger(call, reply);
    } else if (outcome == LEASE_SETTLED) {
        call->handed_on = reply->element[1]->integer == 1;
    }
    call->callback(call, outcome);
}

/* ---- keys: those that all scripts begin with which begin on an event or end it, and those of the event itself */

struct lease_keys {
    char turn[KEY_MAXIMUM];
    char waiting[KEY_MAXIMUM];
    char seen[KEY_MAXIMUM];
    char ledger[KEY_MAXIMUM];
    char mail[KEY_MAXIMUM];
    struct text common[8]; /* events, retry, attempts, turn, waiting, seen, ledger, mail */
};

static void make_keys(const struct lease *lease, struct lease_keys *made)
{
    const struct keys *keys = queue_keys(lease->queue);
    made->common[0] = text_of(keys->events);
    made->common[1] = text_of(keys->retry);
    made->common[2] = text_of(keys->attempts);
    made->common[3] = keys_make(keys, "turn", lease->entry->session, made->turn);
    made->common[4] = keys_make(keys, "waiting", lease->entry->session, made->waiting);
    made->common[5] = keys_make(keys, "seen", lease->entry->event, made->seen);
    made->common[6] = keys_make(keys, "effects", lease->entry->event, made->ledger);
    made->common[7] = keys_make(keys, "mail", lease->entry->event, made->mail);
}

#define COMMON_KEYS(made) (made).common[0], (made).common[1], (made).common[2], (made).common[3], (made).common[4]
#define EVENT_KEYS(made) (made).common[5], (made).common[6]

int lease_open(const struct lease *lease, struct lease_call *call)
{
    struct lease_keys keys;
    char silence[24];
    make_keys(lease, &keys);
    (void)snprintf(silence, sizeof(silence), "%" PRIu64, lease->claim_after_ms);
    struct text plain[] = {COMMON_KEYS(keys),
                           EVENT_KEYS(keys),
                           TEXT(KEYS_GROUP),
                           text_of(lease->consumer),
                           lease->entry->id,
                           text_of(silence),
                           lease->needs_turn ? TEXT("1") : TEXT("0"),
                           TEXT(LEDGER_KEEP_MS)};
    struct text freezing[] = {COMMON_KEYS(keys), EVENT_KEYS(keys), keys.common[7], plain[7],  plain[8],
                              plain[9],          plain[10],        plain[11],      plain[12], call->mail};
    bool freezes = call->mail.length > 0;
    call->call.callback = on_open;
    return redis_script_call(queue_redis(lease->queue), &call->call, &script_open, freezes ? 8 : 7,
                             freezes ? ARRAY_LENGTH(freezing) : ARRAY_LENGTH(plain), freezes ? freezing : plain);
}

/* ---- the others answer 1, 2 for "and the turn was handed on", or 0 for "lost" */

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct lease_call *call = CONTAINER_OF(redis_call, struct lease_call, call);
    enum lease_outcome outcome = LEASE_UNKNOWN;
    call->handed_on = false;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        outcome = reply->integer > 0 ? LEASE_DONE : LEASE_LOST;
        call->handed_on = reply->integer == 2;
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
    char history[24];
    (void)snprintf(history, sizeof(history), "%" PRIu64, queue_history_ms(lease->queue));
    struct text arguments[] = {text_of(keys->events), keys_make(keys, "effects", lease->entry->event, ledger),
                               TEXT(KEYS_GROUP),      text_of(lease->consumer),
                               lease->entry->id,      text_of(field),
                               text_of(value),        TEXT(LEDGER_KEEP_MS),
                               text_of(history)};
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

int lease_record_skipped(const struct lease *lease, struct lease_call *call, const char *effect, const char *reason)
{
    char field[64];
    (void)snprintf(field, sizeof(field), "skipped:%s", effect);
    return record(lease, call, field, reason);
}

int lease_finish(const struct lease *lease, struct lease_call *call, const struct lease_ending *ending)
{
    struct lease_keys keys;
    char history[24];
    char received[24];
    make_keys(lease, &keys);
    (void)snprintf(history, sizeof(history), "%" PRIu64, queue_history_ms(lease->queue));
    (void)snprintf(received, sizeof(received), "%" PRId64, lease->entry->received_ms);
    struct text arguments[] = {
        COMMON_KEYS(keys),        EVENT_KEYS(keys),
        keys.common[7],           text_of(queue_keys(lease->queue)->outcomes),
        TEXT(KEYS_GROUP),         text_of(lease->consumer),
        lease->entry->id,         text_of(history),
        lease->entry->event,      lease->entry->type,
        lease->entry->session,    text_of(ending->user),
        text_of(ending->status),  text_of(ending->outcome),
        text_of(ending->effects), text_of(received),
        text_of(ending->skipped),
    };
    return call_script(lease, call, &script_finish, 9, ARRAY_LENGTH(arguments), arguments);
}

int lease_bury(const struct lease *lease, struct lease_call *call, const struct lease_ending *ending,
               const struct job_fault *fault, unsigned attempts)
{
    struct lease_keys keys;
    char history[24];
    char number[16];
    make_keys(lease, &keys);
    (void)snprintf(history, sizeof(history), "%" PRIu64, queue_history_ms(lease->queue));
    (void)snprintf(number, sizeof(number), "%u", attempts);
    struct text arguments[] = {
        COMMON_KEYS(keys),
        EVENT_KEYS(keys),
        keys.common[7],
        text_of(queue_keys(lease->queue)->outcomes),
        text_of(queue_keys(lease->queue)->dead),
        TEXT(KEYS_GROUP),
        text_of(lease->consumer),
        lease->entry->id,
        text_of(history),
        lease->entry->event,
        lease->entry->type,
        lease->entry->session,
        text_of(ending->user),
        text_of(ending->status),
        text_of(ending->outcome),
        text_of(ending->effects),
        text_of(fault->reason),
        text_of(fault->error),
        text_of(number),
        text_of(ending->skipped),
    };
    return call_script(lease, call, &script_bury, 10, ARRAY_LENGTH(arguments), arguments);
}

/* Without a fault it is a hand-back, which counts as no try. */
static int schedule(const struct lease *lease, struct lease_call *call, uint64_t delay_ms,
                    const struct job_fault *fault)
{
    struct lease_keys keys;
    char delay[24];
    make_keys(lease, &keys);
    (void)snprintf(delay, sizeof(delay), "%" PRIu64, delay_ms);
    struct text arguments[] = {COMMON_KEYS(keys),
                               EVENT_KEYS(keys),
                               TEXT(KEYS_GROUP),
                               text_of(lease->consumer),
                               lease->entry->id,
                               text_of(delay),
                               fault ? TEXT("1") : TEXT("0"),
                               TEXT(LEDGER_KEEP_MS),
                               text_of(fault ? fault->reason : ""),
                               text_of(fault ? fault->error : "")};
    return call_script(lease, call, &script_retry, 7, ARRAY_LENGTH(arguments), arguments);
}

int lease_retry(const struct lease *lease, struct lease_call *call, uint64_t delay_ms, const struct job_fault *fault)
{
    return schedule(lease, call, delay_ms, fault);
}

int lease_hold(const struct lease *lease, struct lease_call *call, const char *effect)
{
    struct lease_keys keys;
    char longest[24];
    make_keys(lease, &keys);
    (void)snprintf(longest, sizeof(longest), "%" PRIu64, CONTROL_HOLD_MS);
    struct text arguments[] = {COMMON_KEYS(keys),
                               EVENT_KEYS(keys),
                               text_of(queue_keys(lease->queue)->control),
                               text_of(queue_keys(lease->queue)->held),
                               TEXT(KEYS_GROUP),
                               text_of(lease->consumer),
                               lease->entry->id,
                               text_of(longest),
                               text_of(effect)};
    return call_script(lease, call, &script_hold, 9, ARRAY_LENGTH(arguments), arguments);
}

int lease_release(const struct lease *lease, struct lease_call *call)
{
    return schedule(lease, call, 0, NULL);
}

/* ---- for all events of a consumer */

/* The turn's key of each entry: texts into `names`. */
static void make_turn_keys(const struct keys *keys, const struct entry *const *entries, size_t count,
                           struct text *turns, char (*names)[KEY_MAXIMUM])
{
    for (size_t i = 0; i < count; i++) {
        turns[i] = keys_make(keys, "turn", entries[i]->session, names[i]);
    }
}

int lease_renew(const struct lease_holder *holder, const struct entry *const *entries, size_t count,
                struct redis_call *call)
{
    struct queue *queue = holder->queue;
    char silence[24];
    (void)snprintf(silence, sizeof(silence), "%" PRIu64, holder->claim_after_ms);
    struct text *arguments = malloc((5 + 2 * count) * sizeof(*arguments));
    char(*names)[KEY_MAXIMUM] = malloc((count + 1) * sizeof(*names));
    int status = -ENOMEM;
    if (arguments && names) {
        arguments[0] = text_of(queue_keys(queue)->events);
        arguments[1] = text_of(queue_keys(queue)->pulse);
        make_turn_keys(queue_keys(queue), entries, count, arguments + 2, names);
        arguments[2 + count] = TEXT(KEYS_GROUP);
        arguments[3 + count] = text_of(holder->consumer);
        arguments[4 + count] = text_of(silence);
        for (size_t i = 0; i < count; i++) {
            arguments[5 + count + i] = entries[i]->id;
        }
        status = redis_script_call(queue_redis(queue), call, &script_renew, 2 + count, 5 + 2 * count, arguments);
    }
    free(arguments);
    free(names);
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
