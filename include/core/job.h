#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/*
 * The life of one event in a worker, as a pure state machine: job_step() is told what has happened and says what to do
 * next. It knows nothing of sockets, clocks and Redis; whoever drives it performs one action at a time and reports how
 * it ended.
 *
 *            open         fetch         effect         record
 *   OPENING ──────▶ FETCHING ─────▶ ACTING ◀────────▶ RECORDING        each may also lead straight to CLOSING
 *                                      └──────┬──────────┘
 *                                          CLOSING ──▶ ENDED           finish, retry, bury or release: one script in
 * Redis
 *
 * OPENING   reads what earlier tries have left: effects done, failures so far. Redis's answer wakes it.
 * FETCHING  asks Stripe for the session as it is now. The answer, or its timeout, wakes it.
 * ACTING    runs the effects in their order, without those that are done. The effect's end wakes it.
 * RECORDING writes an effect's end into the ledger before anything else happens. Redis's answer wakes it.
 * CLOSING   leaves the event in exactly one place. Redis's answer wakes it.
 *
 * A failure that may pass does not hold up the effects behind it; when all have been tried the event is retried as a
 * whole, and the ledger keeps what is done from being repeated. A failure that stays is recorded too, and buries the
 * event once nothing is left to retry. An effect that an operator has paused is passed over, and the event waits for it
 * once nothing else is left.
 */
#define JOB_EFFECTS_MAXIMUM 4
#define JOB_TAKEOVERS_MAXIMUM 5 /* an event whose worker died this often is a poison event */

enum job_state { JOB_OPENING, JOB_FETCHING, JOB_ACTING, JOB_RECORDING, JOB_CLOSING, JOB_ENDED };

enum job_effect_state {
    JOB_EFFECT_TODO,
    JOB_EFFECT_DONE,     /* in this try or an earlier one */
    JOB_EFFECT_DEFERRED, /* failed in this try; may pass */
    JOB_EFFECT_HELD,     /* an operator has paused it */
    JOB_EFFECT_FAILED,   /* failed for good, in this try or an earlier one */
    JOB_EFFECT_SKIPPED,  /* this session has not what it takes, and that is fine; in this try or an earlier one */
};

#define JOB_REASON_SIZE 48
#define JOB_ERROR_SIZE 400

/* Why something failed: `reason` is a word for counting, `error` a sentence for the operator without personal data. */
struct job_fault {
    char reason[JOB_REASON_SIZE];
    char error[JOB_ERROR_SIZE];
};

struct job {
    enum job_state state;
    unsigned failures; /* tries that failed before this one */
    size_t effect_count;
    enum job_effect_state effects[JOB_EFFECTS_MAXIMUM];
    size_t effect; /* ACTING, RECORDING: the one at hand */
    bool stopping;
    bool deferred;           /* something in this try failed and may pass */
    bool held;               /* a paused effect is left */
    uint64_t retry_after_ms; /* the longest wait that anyone asked for in this try */
    struct job_fault fault;  /* the last failure: of those that stay if there is one */
    bool failed;             /* something failed for good */
};

struct job_limits {
    unsigned max_attempts;
    uint64_t retry_base_ms;
    uint64_t retry_cap_ms;
    uint64_t left_ms; /* until Stripe does not show any more what was chosen: a try comes before that; 0: it will */
};

enum job_event {
    JOB_OPENED,      /* the ledger was read: opened */
    JOB_OPENED_IDLE, /* the same, and this kind of event sets nothing off */
    JOB_OPENED_HELD, /* the same, and all that is left of it is paused */
    JOB_FETCHED,     /* the session is here and the event is current: `fetched` tells which effects there are */
    JOB_SUPERSEDED,  /* the session is here and has moved on */
    JOB_DEFERRED,    /* the fetch or the effect failed, and that may pass: fault */
    JOB_FAILED,      /* the fetch or the effect failed for good: fault */
    JOB_SKIPPED,     /* the effect has nothing to do for this session: reason in `fault` */
    JOB_HELD,        /* the effect is paused: go on with the next one */
    JOB_SUCCEEDED,   /* the effect is done */
    JOB_RECORDED,    /* the ledger has it */
    JOB_CLOSED,      /* Redis has moved the event to where it belongs */
    JOB_LOST,        /* the event is somebody else's now, or Redis's answer is: do nothing more about it */
    JOB_BROKEN_OFF,  /* the fetch or the effect under way was broken off, because the worker is to stop */
    JOB_STOP,        /* the worker is to stop: hand the event back after the step under way */
};

struct job_input {
    enum job_event event;
    unsigned failures;                                  /* OPENED: tries that failed before */
    unsigned takeovers;                                 /* OPENED: owners that fell silent in a row */
    size_t effect_count;                                /* FETCHED */
    enum job_effect_state effects[JOB_EFFECTS_MAXIMUM]; /* FETCHED: TODO, or DONE, FAILED or SKIPPED by the ledger */
    const struct job_fault *fault; /* DEFERRED, FAILED; FETCHED: the ledger's, when an effect is FAILED */
    uint64_t retry_after_ms;       /* DEFERRED: not before */
    uint64_t random;               /* 64 uniform bits, for the jitter of a retry */
};

enum job_action {
    JOB_WAIT,   /* nothing: what is under way will report */
    JOB_FETCH,  /* fetch the session */
    JOB_ACT,    /* run effect number job->effect */
    JOB_RECORD, /* record effect number job->effect as it is in job->effects */
    JOB_FINISH, /* close: the event is done */
    JOB_FINISH_SUPERSEDED,
    JOB_RETRY,   /* close: try again after delay_ms */
    JOB_HOLD,    /* close: let it wait until the effect is not paused any more; counts as no try */
    JOB_BURY,    /* close: to the dead letters, with job->fault */
    JOB_RELEASE, /* close: hand it back, to be taken at once by another; counts as no try */
    JOB_FORGET,  /* it has ended: free it */
};

struct job_order {
    enum job_action action;
    uint64_t delay_ms; /* RETRY */
};

/* A new job is {0}: OPENING, waiting for JOB_OPENED. */
struct job_order job_step(struct job *job, const struct job_limits *limits, const struct job_input *input);

/* Fills `fault`; what is too long is cut. */
void job_fault_set(struct job_fault *fault, const char *reason, const char *format, ...) PRINTF_LIKE(3, 4);
