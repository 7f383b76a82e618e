#include "store/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static bool is_record(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !is_text(reply->element[0]) ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return false;
    }
    for (size_t i = 0; i < reply->element[1]->elements; i++) {
        if (!is_text(reply->element[1]->element[i])) {
            return false;
        }
    }
    return true;
}

/* Copies the reply's text to *at, ends it with a NUL, and moves *at behind it. */
static struct text keep(char **at, const redisReply *reply)
{
    struct text kept = {.data = *at, .length = (size_t)reply->len};
    memcpy(*at, reply->str, kept.length);
    (*at)[kept.length] = '\0';
    *at += kept.length + 1;
    return kept;
}

int record_read(const redisReply *reply, struct record **read)
{
    if (!is_record(reply)) {
        return RECORD_GONE;
    }
    const redisReply *texts = reply->element[1];
    size_t count = texts->elements / 2;
    size_t bytes = (size_t)reply->element[0]->len + 1;
    for (size_t i = 0; i < 2 * count; i++) {
        bytes += (size_t)texts->element[i]->len + 1;
    }
    struct record *record = calloc(1, sizeof(*record) + count * sizeof(struct record_field) + bytes);
    if (!record) {
        return -ENOMEM;
    }
    record->fields = (struct record_field *)(record + 1);
    record->field_count = count;
    char *at = (char *)(record->fields + count);
    record->id = keep(&at, reply->element[0]);
    for (size_t i = 0; i < count; i++) {
        record->fields[i].name = keep(&at, texts->element[2 * i]);
        record->fields[i].value = keep(&at, texts->element[2 * i + 1]);
    }
    *read = record;
    return 0;
}

struct text record_value(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->field_count; i++) {
        if (text_equal(record->fields[i].name, text_of(name))) {
            return record->fields[i].value;
        }
    }
    return (struct text){0};
}

static int64_t number(struct text text)
{
    uint64_t value;
    return text_to_unsigned(text, INT64_MAX, &value) == 0 ? (int64_t)value : -1;
}

int64_t record_number(const struct record *record, const char *name)
{
    return number(record_value(record, name));
}

int64_t record_time(const struct record *record)
{
    struct text rest = record->id;
    return number(text_cut(&rest, '-'));
}
