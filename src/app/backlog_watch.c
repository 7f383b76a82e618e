#include "app/backlog_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "app/chore.h"
#include "store/backlog.h"
#include "store/keys.h"

struct backlog_watch {
    struct queue *queue;
    struct telemetry *telemetry;
    struct chore chore; /* a turn is a question */
    struct backlog_call call;
};

static void set_count(struct backlog_watch *watch, enum telemetry_state state, int64_t count)
{
    telemetry_set(&watch->telemetry->backlog[state], count > 0 ? (uint64_t)count : 0);
}

static void set_age(struct backlog_watch *watch, enum telemetry_state state, int64_t age_ms)
{
    telemetry_set(&watch->telemetry->backlog_age_ms[state], age_ms > 0 ? (uint64_t)age_ms : 0);
}

static void take(struct backlog_watch *watch, const struct backlog *backlog)
{
    set_count(watch, STATE_DUE, backlog->due);
    set_count(watch, STATE_HELD, backlog->held);
    set_count(watch, STATE_RETRYING, backlog->retrying - backlog->due - backlog->held);
    set_count(watch, STATE_DEAD, backlog->dead);
    /* Before the first worker has made the group, all of the stream is unread. */
    set_count(watch, STATE_UNREAD, backlog->stream_length);
    for (size_t i = 0; i < backlog->group_count; i++) {
        const struct backlog_group *group = &backlog->groups[i];
        if (text_equal(group->name, TEXT(KEYS_GROUP))) {
            set_count(watch, STATE_UNREAD, group->unread);
            set_count(watch, STATE_IN_PROCESS, group->pending);
            set_age(watch, STATE_UNREAD, group->oldest_unread_ms);
            set_age(watch, STATE_IN_PROCESS, group->oldest_pending_ms);
        }
    }
}

static void on_read(struct backlog_call *call, const struct backlog *backlog, const char *error)
{
    struct backlog_watch *watch = CONTAINER_OF(call, struct backlog_watch, call);
    (void)error; /* whoever uses Redis in earnest tells of it */
    if (backlog) {
        take(watch, backlog);
    }
    chore_done(&watch->chore, BACKLOG_WATCH_INTERVAL_MS);
}

static int begin(struct chore *chore)
{
    struct backlog_watch *watch = CONTAINER_OF(chore, struct backlog_watch, chore);
    return backlog_read(watch->queue, &watch->call);
}

void backlog_watch_ask(struct backlog_watch *watch)
{
    chore_begin(&watch->chore);
}

int backlog_watch_open(uv_loop_t *loop, struct queue *queue, struct telemetry *telemetry, struct backlog_watch **opened)
{
    struct backlog_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->queue = queue;
    watch->telemetry = telemetry;
    watch->call.callback = on_read;
    chore_open(&watch->chore, loop, BACKLOG_WATCH_INTERVAL_MS, begin, watch);
    *opened = watch;
    return 0;
}

void backlog_watch_close(struct backlog_watch *watch, void (*closed)(void *context), void *context)
{
    chore_close(&watch->chore, closed, context);
}
