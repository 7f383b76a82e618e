#pragma once

#include <uv.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "store/queue.h"

/*
 * Trims the streams every IDENTIHOOK_TRIM_EVERY (see store/trim.h), and reports consumer groups that do not go on, in
 * the log and as a metric. One in each process is enough; the fleet agrees on whose turn it is.
 */
struct trimmer;

struct trimmer_options {
    const struct settings *settings; /* this and the others outlive the trimmer */
    struct queue *queue;
    struct telemetry *telemetry;
    const char *consumer; /* by which the fleet knows it */
};

MUST_CHECK int trimmer_open(uv_loop_t *loop, const struct trimmer_options *options, struct trimmer **trimmer);

/* `closed` runs, and the trimmer is gone, when nothing of it is left on the loop. */
void trimmer_close(struct trimmer *trimmer, void (*closed)(void *context), void *context);
