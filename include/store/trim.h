#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "store/queue.h"

/*
 * Takes away what has ended, so that the streams hold what is still to be done and to be read:
 *
 * - of the events those that every consumer group of the stream, ours and other services', has acknowledged, and that
 * are not to be tried again;
 * - of the outcomes those that are older than the history and that every group has acknowledged;
 * - of our group's consumers those that are gone and own nothing.
 *
 * A group that does not go on is reported, and nothing that it has not acknowledged is taken away.
 *
 * One consumer of the fleet does it, in steps of about a millisecond; the others are told so, and one of them goes on
 * when that one is gone for two runs.
 */
#define TRIM_GROUPS_MAXIMUM 16

struct trim_group {
    char stream[16]; /* "events" or "outcomes" */
    char name[64];
    int64_t age_ms; /* of the oldest entry that it has not acknowledged */
};

struct trim_report {
    bool ours;          /* we do it; else only `stalled` is filled in */
    uint64_t stalled;   /* groups that do not go on, as found when the last run began */
    uint64_t events;    /* taken away in this step */
    uint64_t outcomes;  /* the same */
    bool more;          /* there may be more to take away */
    size_t group_count; /* when a run begins: the stalled groups */
    struct trim_group groups[TRIM_GROUPS_MAXIMUM];
};

#define TRIM_CURSOR_SIZE 48

/* One step; embedded by the caller, and left in place until its callback has run. */
struct trim_call {
    struct redis_call call;
    /* `report` is lent until the callback returns; NULL when Redis gave no answer. */
    void (*callback)(struct trim_call *call, const struct trim_report *report);
    const char *consumer;          /* this and what follows are the caller's, set before each step: who does it, */
    uint64_t every_ms;             /*   how much time is between two runs, */
    uint64_t stalled_ms;           /*   after which a group is stalled, */
    uint64_t forgotten_ms;         /*   after which a consumer that has no events is forgotten, */
    bool begins;                   /*   and whether a run begins */
    char cursor[TRIM_CURSOR_SIZE]; /* where to go on; "" at first, then what the last step has left there */
};

/* 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int trim_step(struct queue *queue, struct trim_call *call);
