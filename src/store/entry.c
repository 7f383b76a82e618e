#include "store/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static struct text find(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *field = fields->element[i];
        const redisReply *value = fields->element[i + 1];
        if (is_text(field) && is_text(value) && strcmp(field->str, name) == 0) {
            return (struct text){.data = value->str, .length = (size_t)value->len};
        }
    }
    return (struct text){0};
}

/* Copies `text` to *at, ends it with a NUL, and moves *at behind it. */
static struct text keep(char **at, struct text text)
{
    struct text kept = {.data = *at, .length = text.length};
    if (text.length > 0) {
        memcpy(*at, text.data, text.length);
    }
    (*at)[text.length] = '\0';
    *at += text.length + 1;
    return kept;
}

static int64_t number(struct text text)
{
    uint64_t value = 0;
    return text_to_unsigned(text, INT64_MAX, &value) == 0 ? (int64_t)value : 0;
}

int entry_read(const redisReply *reply, struct entry **read)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !is_text(reply->element[0]) ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return ENTRY_GONE;
    }
    const redisReply *fields = reply->element[1];
    struct text id = {.data = reply->element[0]->str, .length = (size_t)reply->element[0]->len};
    struct text event = find(fields, "event");
    struct text type = find(fields, "type");
    struct text session = find(fields, "session");
    struct text account = find(fields, "account");
    struct entry *entry =
        calloc(1, sizeof(*entry) + id.length + event.length + type.length + session.length + account.length + 5);
    if (!entry) {
        return -ENOMEM;
    }
    char *at = entry->bytes;
    entry->id = keep(&at, id);
    entry->event = keep(&at, event);
    entry->type = keep(&at, type);
    entry->session = keep(&at, session);
    entry->account = keep(&at, account);
    entry->livemode = text_equal(find(fields, "livemode"), TEXT("true"));
    entry->created = number(find(fields, "created"));
    entry->received_ms = number(find(fields, "received_ms"));
    entry->kind = event_kind_of(entry->type);
    *read = entry;
    return 0;
}
