#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/list.h"
#include "store/queue.h"

/*
 * Where a worker's events come from: new ones from the stream, ones whose retry is due, and ones whose owner fell
 * silent.
 *
 * Reading new ones blocks in Redis, so it has a connection of its own. The consumer group is made when it is missing,
 * from the stream's beginning, so that nothing that came before is passed over; a group that vanishes (a failover to an
 * empty replica, FLUSHALL) is made again and reported. After an error reply, reading rests for a second, so that a
 * server that refuses is not asked in a circle.
 */
struct inbox;

enum inbox_source { INBOX_NEW, INBOX_DUE, INBOX_CLAIMED };

struct inbox_options {
    const struct redis_url *url;
    const char *reader_name; /* of the reading connection; outlives the inbox */
    const char *consumer;    /* this worker's name in the group; nobody else has it; outlives the inbox */
    uint64_t call_timeout_ms;
    uint64_t check_every_ms; /* as of redis_options */
    uint64_t claim_after_ms; /* of silence: the setting, */
    uint64_t claim_idle_ms;  /*   and from when on claims take an event: a little before, to be there in time */
    /* `entries` (struct entry) are the receiver's; it empties the list. Runs once for each read, due or claim that was
     * started, with an empty list when there was nothing. `next_ms`: DUE: ms until the next one is due, -1 when none is
     * scheduled. */
    void (*on_entries)(void *context, enum inbox_source source, struct list *entries, int64_t next_ms);
    void (*on_ready)(void *context); /* the reading connection is (again) there: start to read */
    void *context;
};

MUST_CHECK int inbox_open(uv_loop_t *loop, struct queue *queue, const struct inbox_options *options,
                          struct inbox **inbox);

/* on_entries does not run any more; `closed` runs when all of it is gone from the loop. Before queue_close(). */
void inbox_close(struct inbox *inbox, void (*closed)(void *context), void *context);

/*
 * To be called about once a second, with whether a read should be under way. A group that could not be made is tried
 * again; a read that should be there and is not, or that takes longer than it can, is reported and mended by connecting
 * anew.
 */
void inbox_watch(struct inbox *inbox, bool should_read);

/* What keeps it from reading. */
enum redis_trouble inbox_trouble(const struct inbox *inbox);

struct inbox_counters {
    uint64_t restarts;     /* by inbox_watch() */
    uint64_t group_losses; /* the group had vanished */
};
struct inbox_counters inbox_counters(const struct inbox *inbox);

/* Each asks for at most `count` entries. 0, or -EBUSY (the last one is still under way), -EAGAIN (it rests), -ENOTCONN,
 * -ENOBUFS, -ENOMEM.
 */
MUST_CHECK int inbox_read(struct inbox *inbox, size_t count);
MUST_CHECK int inbox_due(struct inbox *inbox, size_t count);
MUST_CHECK int inbox_claim(struct inbox *inbox, size_t count);
