#include "app/trimmer.h"

#include <errno.h>
#include <stdlib.h>

#include "app/chore.h"
#include "base/log.h"
#include "store/trim.h"

#define STEP_INTERVAL_MS 10       /* between two steps of a run: Redis has other things to do, too */
#define VAIN_STEPS_MAXIMUM 20     /* of a run: that found nothing to take away */
#define FORGOTTEN_MS 3600000      /* a consumer that has no events, and asked for none, for so long */
#define REPORT_INTERVAL_MS 600000 /* between two reports of the same groups */

struct trimmer {
    struct trimmer_options options;
    struct chore chore; /* a turn is a step */
    struct trim_call call;
    unsigned vain_steps;
    uint64_t report_at_ms;
};

static void plan(struct trimmer *trimmer, bool run_goes_on)
{
    trimmer->call.begins = !run_goes_on;
    trimmer->vain_steps = run_goes_on ? trimmer->vain_steps : 0;
}

static void report_groups(struct trimmer *trimmer, const struct trim_report *report)
{
    uint64_t now = uv_now(trimmer->chore.timer.loop);
    if (report->group_count == 0 || now < trimmer->report_at_ms) {
        return;
    }
    trimmer->report_at_ms = now + REPORT_INTERVAL_MS;
    for (size_t i = 0; i < report->group_count; i++) {
        const struct trim_group *group = &report->groups[i];
        log_warn(
            "a consumer group does not acknowledge its entries, so they are kept: mend its reader or destroy the group",
            LOG_STRING("stream", group->stream), LOG_STRING("group", group->name),
            LOG_NUMBER("oldest_ms", group->age_ms));
    }
}

static void on_trimmed(struct trim_call *call, const struct trim_report *report)
{
    struct trimmer *trimmer = CONTAINER_OF(call, struct trimmer, call);
    bool goes_on = false;
    if (report) {
        struct telemetry *telemetry = trimmer->options.telemetry;
        telemetry_set(&telemetry->groups_stalled, report->stalled);
        telemetry_add(&telemetry->trimmed[TRIMMED_EVENTS], report->events);
        telemetry_add(&telemetry->trimmed[TRIMMED_OUTCOMES], report->outcomes);
        report_groups(trimmer, report);
        bool vain = report->events == 0 && report->outcomes == 0;
        trimmer->vain_steps += vain ? 1 : 0;
        goes_on = report->ours && (!vain || (report->more && trimmer->vain_steps < VAIN_STEPS_MAXIMUM));
    }
    plan(trimmer, goes_on);
    chore_done(&trimmer->chore, goes_on ? STEP_INTERVAL_MS : trimmer->options.settings->trim_every_ms);
}

static int begin(struct chore *chore)
{
    struct trimmer *trimmer = CONTAINER_OF(chore, struct trimmer, chore);
    int status = trim_step(trimmer->options.queue, &trimmer->call);
    if (status < 0) {
        plan(trimmer, false); /* Redis is away: nothing is trimmed then */
    }
    return status;
}

int trimmer_open(uv_loop_t *loop, const struct trimmer_options *options, struct trimmer **opened)
{
    struct trimmer *trimmer = calloc(1, sizeof(*trimmer));
    if (!trimmer) {
        return -ENOMEM;
    }
    trimmer->options = *options;
    trimmer->call.callback = on_trimmed;
    trimmer->call.consumer = options->consumer;
    trimmer->call.every_ms = options->settings->trim_every_ms;
    trimmer->call.stalled_ms = options->settings->group_stalled_ms;
    trimmer->call.forgotten_ms = FORGOTTEN_MS;
    plan(trimmer, false);
    chore_open(&trimmer->chore, loop, options->settings->trim_every_ms, begin, trimmer);
    *opened = trimmer;
    return 0;
}

void trimmer_close(struct trimmer *trimmer, void (*closed)(void *context), void *context)
{
    chore_close(&trimmer->chore, closed, context);
}
