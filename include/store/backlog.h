#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/control.h"
#include "store/queue.h"

/* How much is waiting where. Ages are in ms; -1 stands for "none" or "unknown". */
#define BACKLOG_GROUPS_MAXIMUM 32
#define BACKLOG_CONSUMERS_MAXIMUM 64  /* of each group */
#define BACKLOG_SCHEDULE_MAXIMUM 1000 /* entries of the schedule that are looked at */

struct backlog_consumer {
    struct text name;
    int64_t pending;
    int64_t idle_ms; /* since it last asked for something */
};

struct backlog_group {
    struct text name;
    int64_t consumers;
    int64_t pending; /* in process, or left by a dead owner */
    int64_t oldest_pending_ms;
    int64_t unread; /* -1: some */
    int64_t oldest_unread_ms;
    size_t member_count; /* of its consumers, the first BACKLOG_CONSUMERS_MAXIMUM */
    struct backlog_consumer members[BACKLOG_CONSUMERS_MAXIMUM];
};

struct backlog {
    int64_t now_ms; /* Redis's clock */
    int64_t stream_length;
    int64_t retrying; /* all that are scheduled; of these: */
    int64_t due;      /* due now */
    int64_t held;     /* wait for a paused effect */
    int64_t
        waiting_turn; /* wait for their session's turn, of the first BACKLOG_SCHEDULE_MAXIMUM that are not due yet */
    int64_t next_retry_ms; /* until the next one is due */
    int64_t dead;
    struct control control; /* what is paused */
    size_t group_count;
    struct backlog_group groups[BACKLOG_GROUPS_MAXIMUM];
};

struct backlog_call {
    struct redis_call call;
    /* `backlog` and its texts are lent until the callback returns; NULL: Redis gave no such answer, and `error` says
     * what it said ("": nothing). */
    void (*callback)(struct backlog_call *call, const struct backlog *backlog, const char *error);
};

/* Reads it in one script. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int backlog_read(struct queue *queue, struct backlog_call *call);
