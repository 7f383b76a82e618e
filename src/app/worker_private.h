#pragma once

#include "app/database_watch.h"
#include "app/effect.h"
#include "app/lookup.h"
#include "app/pause_watch.h"
#include "app/trimmer.h"
#include "app/worker.h"
#include "base/holds.h"
#include "base/list.h"
#include "store/inbox.h"
#include "store/lease.h"
#include "store/schema.h"
#include "store/user.h"

/* What worker.c and delivery.c share. The worker owns the deliveries. */
struct worker {
    struct worker_options options;
    uv_loop_t *loop;
    struct inbox *inbox;
    struct fetcher *fetcher;
    struct lookups *lookups;
    struct fetcher *onboarding; /* NULL without IDENTIHOOK_ONBOARDING_URL */
    struct breaker onboarding_breaker;
    struct mail_outlet *mail;
    struct postgres *postgres;       /* NULL without DATABASE_URL */
    struct database_watch *database; /* in the first loop alone, beside the pool */
    struct trimmer *trimmer;         /* in the first loop alone */
    struct pause_watch *pauses;
    struct effect_tools tools;
    char consumer[128];
    char reader_name[160];
    uv_timer_t tick;        /* rings at the soonest of the times below */
    struct list ready;      /* of struct entry: taken, not started for want of room */
    struct list deliveries; /* of struct delivery */
    size_t active;          /* in `deliveries` */
    bool group_is_there;    /* it was made, or found: nothing can be asked for before */
    bool reading;           /* a blocking read is under way */
    uint64_t due_at_ms;     /* loop time */
    bool due_again;         /* ask for due events once more when the question under way is answered */
    uint64_t claim_at_ms;
    uint64_t renew_at_ms;
    struct redis_call renew_call;
    uint64_t renewed_at_ms; /* clock_monotonic_ms() */
    bool renewing;
    bool stopping;
    bool inbox_open;
    bool surrendering;
    struct redis_call surrender_call;
    uint64_t stop_deadline_ms;
    struct holds holds; /* its parts, while they are being closed */
};

/* Why a delivery does not go on by itself. */
enum delivery_wait {
    DELIVERY_RUNNING, /* something under way will report */
    DELIVERY_STALLED, /* for Redis: its order is performed again when Redis is back */
};

/* One event on its way through this worker. */
struct delivery {
    struct list link; /* in worker->deliveries */
    struct worker *worker;
    struct entry *entry;
    struct job job;
    struct job_order order; /* what is being done */
    enum delivery_wait wait;
    struct lease lease;
    struct lease_call lease_call;
    struct lease_ledger ledger;
    struct lookup lookup;
    struct user_call user_call;
    struct session *session; /* NULL until fetched */
    struct effect_run effect;
    char skip_reason[JOB_REASON_SIZE]; /* of the effect that is being recorded */
    bool effect_running;
    bool redis_pending; /* a call to Redis will report */
};

/* Starts on `entry`, which it takes. */
void delivery_start(struct worker *worker, struct entry *entry);

/* Goes on with what it waits for: Redis is back or its moment has come. */
void delivery_continue(struct delivery *delivery);

/* The lease was lost. */
void delivery_lose(struct delivery *delivery);

/* The worker is to stop: ends soon after the step at hand. */
void delivery_stop(struct delivery *delivery);

/* The time to stop is up: gives up what can be given up. */
void delivery_break_off(struct delivery *delivery);

/* ---- worker.c, for the deliveries */

/* The delivery has ended and may be freed. */
void worker_forget(struct worker *worker, struct delivery *delivery);

/* Something has changed: start, take and ask what can be started, taken and asked. */
void worker_poke(struct worker *worker);
