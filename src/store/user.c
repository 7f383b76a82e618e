#include "store/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>
#include <openssl/evp.h>

#include "base/decimal.h"
#include "base/random.h"
#include "script_table.h"

void user_hash(struct text user, char hash[USER_HASH_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    if (!EVP_Digest(user.data ? user.data : "", user.length, digest, NULL, EVP_sha256(), NULL)) {
        abort(); /* no digest without memory: to go on would mix up users */
    }
    for (size_t i = 0; i < (USER_HASH_SIZE - 1) / 2; i++) {
        (void)snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    }
}

static struct text user_key(const struct queue *queue, const char *hash, char key[KEY_MAXIMUM])
{
    return keys_make(queue_keys(queue), "user", text_of(hash), key);
}

static struct text word_of(const redisReply *reply)
{
    bool is_word = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    return is_word ? (struct text){.data = reply->str, .length = (size_t)reply->len} : (struct text){0};
}

static void copy_word(char *copy, size_t size, const redisReply *reply)
{
    (void)snprintf(copy, size, "%.*s", TEXT_ARGUMENTS(word_of(reply)));
}

static int64_t number_of(const redisReply *reply)
{
    uint64_t number = 0;
    if (reply->type == REDIS_REPLY_INTEGER) {
        return reply->integer;
    }
    return text_to_unsigned(word_of(reply), INT64_MAX, &number) == 0 ? (int64_t)number : 0;
}

/* ---- admitting */

static void read_admission(struct user_call *call, const redisReply *reply)
{
    struct text word = word_of(reply->element[0]);
    if (text_equal(word, TEXT("verified"))) {
        call->admission = USER_VERIFIED;
    } else if (text_equal(word, TEXT("busy"))) {
        call->admission = USER_BUSY;
    } else if (text_equal(word, TEXT("exhausted")) && reply->elements == 2) {
        call->admission = USER_EXHAUSTED;
        call->wait_ms = number_of(reply->element[1]);
    } else if (text_equal(word, TEXT("open")) && reply->elements == 2) {
        call->admission = USER_OPEN;
        copy_word(call->session, sizeof(call->session), reply->element[1]);
    } else if (text_equal(word, TEXT("create")) && reply->elements == 3) {
        call->admission = USER_CREATES;
        copy_word(call->key, sizeof(call->key), reply->element[1]);
        call->reused_key = word_of(reply->element[2]).length > 0;
    }
}

static void on_admission(struct redis_call *redis_call, const redisReply *reply)
{
    struct user_call *call = CONTAINER_OF(redis_call, struct user_call, call);
    call->admission = USER_UNKNOWN;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
        read_admission(call, reply);
    }
    call->callback(call, call->admission != USER_UNKNOWN);
}

int user_admit(struct queue *queue, struct user_call *call, const char *hash, const struct user_limits *limits)
{
    char key[KEY_MAXIMUM];
    char fresh[USER_KEY_SIZE] = "identihook-session-";
    char numbers[4][DECIMAL_SIZE];
    size_t length = strlen(fresh);
    random_identifier(fresh + length, 24);
    struct text arguments[] = {
        user_key(queue, hash, key),
        decimal_write(limits->attempts, numbers[0]),
        decimal_write(limits->window_ms, numbers[1]),
        decimal_write(limits->claim_ms, numbers[2]),
        text_of(fresh),
        decimal_write(limits->record_ms, numbers[3]),
    };
    call->call.callback = on_admission;
    return redis_script_call(queue_redis(queue), &call->call, &script_admit, 1, ARRAY_LENGTH(arguments), arguments);
}

/* ---- the others: whether there was an answer is all that matters */

static void on_answer(struct redis_call *redis_call, const redisReply *reply)
{
    struct user_call *call = CONTAINER_OF(redis_call, struct user_call, call);
    call->callback(call, reply && reply->type == REDIS_REPLY_INTEGER);
}

int user_enrol(struct queue *queue, struct user_call *call, const char *hash, const char *session,
               const struct user_limits *limits)
{
    char key[KEY_MAXIMUM];
    char keep[DECIMAL_SIZE];
    struct text arguments[] = {user_key(queue, hash, key), text_of(session), decimal_write(limits->record_ms, keep)};
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_enrol, 1, ARRAY_LENGTH(arguments), arguments);
}

int user_release(struct queue *queue, struct user_call *call, const char *hash, bool keep_key)
{
    char key[KEY_MAXIMUM];
    struct text arguments[] = {TEXT("HDEL"), user_key(queue, hash, key), TEXT("until"), TEXT("key")};
    call->call.callback = on_answer;
    return redis_command(queue_redis(queue), &call->call, ARRAY_LENGTH(arguments) - (keep_key ? 1 : 0), arguments);
}

int user_note(struct queue *queue, struct user_call *call, const char *hash, const struct user_state *state,
              uint64_t record_ms)
{
    char key[KEY_MAXIMUM];
    char numbers[2][DECIMAL_SIZE];
    struct text arguments[] = {
        user_key(queue, hash, key),
        state->session,
        text_of(state->status),
        text_of(state->reason),
        state->event,
        decimal_write((uint64_t)state->at_ms, numbers[0]),
        decimal_write(record_ms, numbers[1]),
    };
    call->call.callback = on_answer;
    return redis_script_call(queue_redis(queue), &call->call, &script_note, 1, ARRAY_LENGTH(arguments), arguments);
}

/* ---- reading */

static void on_record(struct redis_call *redis_call, const redisReply *reply)
{
    struct user_call *call = CONTAINER_OF(redis_call, struct user_call, call);
    bool answered = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 7;
    call->record = (struct user_record){0};
    if (answered) {
        struct user_record *record = &call->record;
        copy_word(record->session, sizeof(record->session), reply->element[0]);
        copy_word(record->status, sizeof(record->status), reply->element[1]);
        copy_word(record->reason, sizeof(record->reason), reply->element[2]);
        record->at_ms = number_of(reply->element[3]);
        int64_t sessions = number_of(reply->element[4]);
        int64_t failures = number_of(reply->element[5]);
        record->attempts = (unsigned)(sessions > failures ? sessions : failures);
        record->since_ms = number_of(reply->element[6]);
    }
    call->callback(call, answered);
}

int user_read(struct queue *queue, struct user_call *call, const char *hash)
{
    char key[KEY_MAXIMUM];
    struct text arguments[] = {
        TEXT("HMGET"), user_key(queue, hash, key), TEXT("session"),  TEXT("status"), TEXT("reason"),
        TEXT("at"),    TEXT("sessions"),           TEXT("failures"), TEXT("since")};
    call->call.callback = on_record;
    return redis_command(queue_redis(queue), &call->call, ARRAY_LENGTH(arguments), arguments);
}
