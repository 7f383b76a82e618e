#pragma once

#include <stdint.h>

#include <uv.h>

#include "app/mail_writer.h"
#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "net/mail.h"
#include "store/queue.h"

/*
 * The worker of one loop: takes events (new ones, due ones, those of dead owners), up to its share of
 * IDENTIHOOK_CONCURRENCY, carries each to its outcome, gives signs of life for those it has, and hands back what it has
 * when it is to stop.
 *
 * Failure modes: without Redis it pauses, and everything that waits for an answer is asked again when Redis is back.
 * What it cannot do any more, because it was killed, another worker takes over after IDENTIHOOK_CLAIM_AFTER.
 */
struct worker;

struct worker_options {
    const struct settings *settings; /* this and the others outlive the worker */
    struct queue *queue;
    struct mailer *mailer;      /* NULL without SMTP_URL */
    struct mail_writer *writer; /* NULL without SMTP_URL */
    struct telemetry *telemetry;
    unsigned loop;      /* the loop's number */
    size_t concurrency; /* at least 1 */
};

MUST_CHECK int worker_open(uv_loop_t *loop, const struct worker_options *options, struct worker **worker);

/* The queue's connection is ready: go on with what waited for it. */
void worker_resume(struct worker *worker);

/*
 * Takes nothing more, lets the steps under way end, hands the rest back. Fetches that still run after `timeout_ms` are
 * broken off. `stopped` runs, and the worker is gone, when nothing of it is left on the loop.
 */
void worker_stop(struct worker *worker, uint64_t timeout_ms, void (*stopped)(void *context), void *context);
