#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/settings.h"
#include "net/redis.h"

/*
 * Waits until what one connection has seen done is where the settings want it: on replicas, or on the disk.
 *
 * A barrier is a small write and a WAIT or WAITAOF behind it, on the same connection. The write makes the wait mean
 * something for an event that was found to be stored already, perhaps through another connection: it comes later in
 * the stream of replication, so whoever has it has the event. Those that join while one is under way share the next.
 */
struct barrier {
    struct redis *redis;
    const char *key;
    enum durability_setting mode;
    unsigned replicas; /* wanted */
    uint64_t timeout_ms;
    struct list gathered; /* of struct barrier_wait: for the next barrier */
    struct list passing;  /* for the one under way */
    struct redis_call mark_call;
    struct redis_call wait_call;
    bool marked; /* the write was done */
    bool under_way;
};

/* Embedded by the caller; stays where it is until its callback has run, once, later. */
struct barrier_wait {
    struct list link;
    void (*callback)(struct barrier_wait *wait, bool confirmed);
};

/* Fills in the rest around `redis`, `key`, `mode`, `replicas` and `timeout_ms`. */
void barrier_init(struct barrier *barrier);

/* 0, or a negative code as of redis_command(): then its callback will not run. */
MUST_CHECK int barrier_join(struct barrier *barrier, struct barrier_wait *wait);
