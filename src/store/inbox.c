#include "store/inbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/holds.h"
#include "base/log.h"
#include "script_table.h"
#include "store/entry.h"

#define BLOCK_MS 2000 /* how long one read waits in Redis: a dead connection is noticed soon after */
#define REST_MS 1000  /* after an error */
#define WATCH_SLACK_MS 1000

/* A call to Redis of which one at a time is under way. */
struct ask {
    struct redis_call call;
    struct inbox *inbox;
    bool under_way;
};

struct inbox {
    struct inbox_options options;
    uv_loop_t *loop;
    struct queue *queue;
    struct redis *reader;
    struct ask read;
    struct ask due;
    struct ask claim;
    struct ask make_group;
    bool group_is_there;
    bool had_group; /* once before: if it has to be made again, Redis has lost it */
    uint64_t rest_until_ms;
    enum redis_trouble refusal; /* what the last read met */
    uint64_t read_seen_ms;      /* when a read last began or ended, or was not to be expected */
    struct inbox_counters counters;
    struct holds holds; /* calls under way, and the reader */
};

/* ---- lifetime: calls under way outlast inbox_close() */

static void release(void *context)
{
    struct inbox *inbox = context;
    holds_release(&inbox->holds, free, inbox);
}

static int start(struct ask *ask, int status)
{
    if (status == 0) {
        ask->under_way = true;
        ask->inbox->holds.count++;
    }
    return status;
}

static struct inbox *end(struct redis_call *call)
{
    struct ask *ask = CONTAINER_OF(call, struct ask, call);
    ask->under_way = false;
    return ask->inbox;
}

/* ---- the group */

static bool is_error(const redisReply *reply, const char *code)
{
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

static void rest(struct inbox *inbox)
{
    inbox->rest_until_ms = uv_now(inbox->loop) + REST_MS;
}

static void report_loss(struct inbox *inbox)
{
    inbox->counters.group_losses++;
    inbox->had_group = false;
    log_error("the consumer group has vanished from redis and is made anew: has redis lost its data?",
              LOG_STRING("group", KEYS_GROUP), LOG_STRING("stream", queue_keys(inbox->queue)->events));
}

static void on_group_made(struct redis_call *call, const redisReply *reply)
{
    struct inbox *inbox = end(call);
    bool there = reply && (reply->type != REDIS_REPLY_ERROR || is_error(reply, "BUSYGROUP"));
    if (reply && !there) {
        static struct log_limit limit;
        uint64_t suppressed;
        rest(inbox);
        if (log_limit_pass(&limit, 10000, &suppressed)) {
            log_error("the consumer group cannot be made, and is tried again", LOG_STRING("group", KEYS_GROUP),
                      LOG_STRING("error", reply->str), LOG_NUMBER("suppressed", suppressed));
        }
    }
    if (there && reply->type != REDIS_REPLY_ERROR && inbox->had_group) {
        report_loss(inbox);
    }
    inbox->group_is_there = there;
    inbox->had_group = inbox->had_group || there;
    if (there && !inbox->holds.closed) {
        inbox->options.on_ready(inbox->options.context);
    }
    release(inbox);
}

static void make_group(struct inbox *inbox)
{
    if (inbox->make_group.under_way || inbox->holds.closed) {
        return;
    }
    struct text arguments[] = {TEXT("XGROUP"),   TEXT("CREATE"), text_of(queue_keys(inbox->queue)->events),
                               TEXT(KEYS_GROUP), TEXT("0"),      TEXT("MKSTREAM")};
    inbox->make_group.call.callback = on_group_made;
    /* Refused only when the connection has gone again: its return makes the group. */
    (void)start(&inbox->make_group,
                redis_command(inbox->reader, &inbox->make_group.call, ARRAY_LENGTH(arguments), arguments));
}

/* The group or the stream vanished while we had them: all of it is made again, from the beginning. Unless it is there:
 * what goes to another node of a cluster vanishes, too. */
static bool mend_group(struct inbox *inbox, const redisReply *reply)
{
    if (!is_error(reply, "NOGROUP") && !is_error(reply, "UNBLOCKED")) {
        return false;
    }
    inbox->group_is_there = false;
    make_group(inbox);
    return true;
}

/* One that is there may refuse all the same: it is not asked in a circle. */
static void heed_error(struct inbox *inbox, const redisReply *reply)
{
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        inbox->refusal = REDIS_FINE;
    }
    if (mend_group(inbox, reply) || !is_error(reply, "") || !redis_is_ready(inbox->reader)) {
        return; /* mended; none; or the connection is lost by it, and tells itself */
    }
    enum redis_trouble refusal = redis_trouble_of(text_of(reply->str));
    inbox->refusal = refusal == REDIS_FINE ? REDIS_UNSUITABLE : refusal;
    static struct log_limit limit;
    uint64_t suppressed;
    rest(inbox);
    if (log_limit_pass(&limit, 10000, &suppressed)) {
        log_error("events cannot be read, and it is tried again", LOG_STRING("error", reply->str),
                  LOG_STRING("fix", redis_trouble_advice(inbox->refusal)), LOG_NUMBER("suppressed", suppressed));
    }
}

/* ---- replies */

static void read_entries(const redisReply *reply, size_t first, struct list *entries)
{
    for (size_t i = first; i < reply->elements; i++) {
        struct entry *entry;
        /* An entry that cannot be read stays pending, and is claimed later by somebody with memory. */
        if (entry_read(reply->element[i], &entry) == 0) {
            list_append(entries, &entry->link);
        }
    }
}

static void drop(struct list *entries)
{
    LIST_EACH(entries, member, following)
    {
        free(LIST_OBJECT(member, struct entry, link));
    }
}

static void deliver(struct inbox *inbox, enum inbox_source source, struct list *entries, int64_t next_ms)
{
    if (inbox->holds.closed) {
        drop(entries); /* they stay pending for this consumer, whose last act is to surrender them */
    } else {
        inbox->options.on_entries(inbox->options.context, source, entries, next_ms);
    }
    release(inbox);
}

/* { { stream, { entry … } } }, or nil after BLOCK_MS */
static void on_read(struct redis_call *call, const redisReply *reply)
{
    struct inbox *inbox = end(call);
    struct list entries;
    list_init(&entries);
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->elements == 2) {
        read_entries(reply->element[0]->element[1], 0, &entries);
    }
    inbox->read_seen_ms = uv_now(inbox->loop);
    heed_error(inbox, reply);
    deliver(inbox, INBOX_NEW, &entries, -1);
}

static void on_due(struct redis_call *call, const redisReply *reply)
{
    struct inbox *inbox = end(call);
    struct list entries;
    list_init(&entries);
    int64_t next_ms = -1;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
        next_ms = reply->element[0]->integer;
        read_entries(reply, 1, &entries);
    }
    (void)mend_group(inbox, reply);
    deliver(inbox, INBOX_DUE, &entries, next_ms);
}

static void on_claim(struct redis_call *call, const redisReply *reply)
{
    struct inbox *inbox = end(call);
    struct list entries;
    list_init(&entries);
    if (reply && reply->type == REDIS_REPLY_ARRAY) {
        read_entries(reply, 0, &entries);
    }
    (void)mend_group(inbox, reply);
    deliver(inbox, INBOX_CLAIMED, &entries, -1);
}

/* ---- asking */

int inbox_read(struct inbox *inbox, size_t count)
{
    if (inbox->read.under_way) {
        return -EBUSY;
    }
    if (uv_now(inbox->loop) < inbox->rest_until_ms) {
        return -EAGAIN;
    }
    inbox->read_seen_ms = uv_now(inbox->loop);
    char limit[24];
    char block[24];
    (void)snprintf(limit, sizeof(limit), "%zu", count);
    (void)snprintf(block, sizeof(block), "%d", BLOCK_MS);
    struct text arguments[] = {
        TEXT("XREADGROUP"), TEXT("GROUP"),
        TEXT(KEYS_GROUP),   text_of(inbox->options.consumer),
        TEXT("COUNT"),      text_of(limit),
        TEXT("BLOCK"),      text_of(block),
        TEXT("STREAMS"),    text_of(queue_keys(inbox->queue)->events),
        TEXT(">"),
    };
    inbox->read.call.callback = on_read;
    return start(&inbox->read, redis_command(inbox->reader, &inbox->read.call, ARRAY_LENGTH(arguments), arguments));
}

int inbox_due(struct inbox *inbox, size_t count)
{
    if (inbox->due.under_way) {
        return -EBUSY;
    }
    const struct keys *keys = queue_keys(inbox->queue);
    char limit[24];
    (void)snprintf(limit, sizeof(limit), "%zu", count);
    struct text arguments[] = {text_of(keys->events), text_of(keys->retry), text_of(keys->attempts),
                               text_of(keys->held),   TEXT(KEYS_GROUP),     text_of(inbox->options.consumer),
                               text_of(limit)};
    inbox->due.call.callback = on_due;
    return start(&inbox->due, redis_script_call(queue_redis(inbox->queue), &inbox->due.call, &script_due, 4,
                                                ARRAY_LENGTH(arguments), arguments));
}

int inbox_claim(struct inbox *inbox, size_t count)
{
    if (inbox->claim.under_way) {
        return -EBUSY;
    }
    const struct keys *keys = queue_keys(inbox->queue);
    char limit[24];
    char idle[24];
    char silence[24];
    (void)snprintf(limit, sizeof(limit), "%zu", count);
    (void)snprintf(idle, sizeof(idle), "%" PRIu64, inbox->options.claim_idle_ms);
    (void)snprintf(silence, sizeof(silence), "%" PRIu64, inbox->options.claim_after_ms);
    struct text arguments[] = {text_of(keys->events),
                               text_of(keys->attempts),
                               text_of(keys->pulse),
                               TEXT(KEYS_GROUP),
                               text_of(inbox->options.consumer),
                               text_of(idle),
                               text_of(limit),
                               text_of(silence)};
    inbox->claim.call.callback = on_claim;
    return start(&inbox->claim, redis_script_call(queue_redis(inbox->queue), &inbox->claim.call, &script_claim, 3,
                                                  ARRAY_LENGTH(arguments), arguments));
}

/* ---- the watch */

void inbox_watch(struct inbox *inbox, bool should_read)
{
    uint64_t now = uv_now(inbox->loop);
    if (inbox->holds.closed || !redis_is_ready(inbox->reader)) {
        inbox->read_seen_ms = now;
        return;
    }
    if (!inbox->group_is_there && now >= inbox->rest_until_ms) {
        make_group(inbox);
    }
    if (!should_read && !inbox->read.under_way) {
        inbox->read_seen_ms = now;
    }
    if (now - inbox->read_seen_ms > BLOCK_MS + inbox->options.call_timeout_ms + WATCH_SLACK_MS) {
        inbox->read_seen_ms = now;
        inbox->counters.restarts++;
        log_error("a worker should be reading and is not: it connects anew",
                  LOG_STRING("consumer", inbox->options.consumer), LOG_NUMBER("under_way", inbox->read.under_way));
        redis_reconnect(inbox->reader, "the worker should be reading and is not");
    }
}

enum redis_trouble inbox_trouble(const struct inbox *inbox)
{
    if (inbox->holds.closed) {
        return REDIS_FINE; /* the reader may be gone, while a call over the other connection still holds the inbox */
    }
    enum redis_trouble trouble = redis_trouble(inbox->reader);
    return trouble == REDIS_FINE ? inbox->refusal : trouble;
}

struct inbox_counters inbox_counters(const struct inbox *inbox)
{
    return inbox->counters;
}

/* ---- opening and closing */

static void on_state(void *context, bool ready)
{
    struct inbox *inbox = context;
    if (ready) {
        make_group(inbox); /* and then on_ready */
    }
}

int inbox_open(uv_loop_t *loop, struct queue *queue, const struct inbox_options *options, struct inbox **opened)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    if (!inbox) {
        return -ENOMEM;
    }
    inbox->options = *options;
    inbox->loop = loop;
    inbox->queue = queue;
    inbox->holds.count = 1;
    inbox->read.inbox = inbox->due.inbox = inbox->claim.inbox = inbox->make_group.inbox = inbox;
    struct redis_options redis_options = {
        .url = options->url,
        .name = options->reader_name,
        .connect_timeout_ms = options->call_timeout_ms,
        .call_timeout_ms = BLOCK_MS + options->call_timeout_ms,
        .check_every_ms = options->check_every_ms,
        .key = queue_keys(queue)->events,
        .max_calls = 4,
        .max_bytes = 1u << 20,
        .on_state = on_state,
        .context = inbox,
    };
    int status = redis_open(loop, &redis_options, &inbox->reader);
    if (status < 0) {
        free(inbox);
        return status;
    }
    *opened = inbox;
    return 0;
}

void inbox_close(struct inbox *inbox, void (*closed)(void *context), void *context)
{
    holds_close(&inbox->holds, closed, context);
    redis_close(inbox->reader, release, inbox);
}
