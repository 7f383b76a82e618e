#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/* How much is waiting where. Ages are in ms; -1 stands for "none" or "unknown". */
#define BACKLOG_GROUPS_MAXIMUM 32

struct backlog_group {
    char name[64];
    int64_t consumers;
    int64_t pending; /* in process, or left by a dead owner */
    int64_t oldest_pending_ms;
    int64_t unread;
    int64_t oldest_unread_ms;
};

struct backlog {
    int64_t stream_length;
    int64_t retrying;
    int64_t next_retry_ms; /* until the next one is due */
    int64_t dead;
    size_t group_count;
    struct backlog_group groups[BACKLOG_GROUPS_MAXIMUM];
};

struct backlog_call {
    struct redis_call call;
    /* `backlog` is lent until the callback returns; NULL when Redis gave no answer. */
    void (*callback)(struct backlog_call *call, const struct backlog *backlog);
};

/* Reads it in one script. 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int backlog_read(struct queue *queue, struct backlog_call *call);
