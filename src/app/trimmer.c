#include "app/trimmer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/trim.h"

#define STEP_INTERVAL_MS 10       /* between two steps of a run: Redis has other things to do, too */
#define VAIN_STEPS_MAXIMUM 20     /* of a run: that found nothing to take away */
#define FORGOTTEN_MS 3600000      /* a consumer that has no events, and asked for none, for so long */
#define REPORT_INTERVAL_MS 600000 /* between two reports of the same groups */

struct trimmer {
    struct trimmer_options options;
    uv_timer_t timer;
    struct trim_call call;
    unsigned vain_steps;
    uint64_t report_at_ms;
    int holds; /* what keeps this object: the timer, and the call under way */
    void (*closed)(void *context);
    void *closed_context;
};

static void on_timer(uv_timer_t *timer);

static void release(struct trimmer *trimmer)
{
    if (--trimmer->holds == 0) {
        void (*closed)(void *) = trimmer->closed;
        void *context = trimmer->closed_context;
        free(trimmer);
        closed(context);
    }
}

static void wind(struct trimmer *trimmer, bool run_goes_on)
{
    uint64_t wait = run_goes_on ? STEP_INTERVAL_MS : trimmer->options.settings->trim_every_ms;
    trimmer->call.begins = !run_goes_on;
    trimmer->vain_steps = run_goes_on ? trimmer->vain_steps : 0;
    (void)uv_timer_start(&trimmer->timer, on_timer, wait, 0);
}

static void report_groups(struct trimmer *trimmer, const struct trim_report *report)
{
    uint64_t now = uv_now(trimmer->timer.loop);
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
    if (!trimmer->closed) {
        wind(trimmer, goes_on);
    }
    release(trimmer);
}

static void on_timer(uv_timer_t *timer)
{
    struct trimmer *trimmer = timer->data;
    trimmer->holds++;
    if (trim_step(trimmer->options.queue, &trimmer->call) < 0) {
        trimmer->holds--;
        wind(trimmer, false); /* Redis is away: nothing is trimmed then */
    }
}

int trimmer_open(uv_loop_t *loop, const struct trimmer_options *options, struct trimmer **opened)
{
    struct trimmer *trimmer = calloc(1, sizeof(*trimmer));
    if (!trimmer) {
        return -ENOMEM;
    }
    trimmer->options = *options;
    trimmer->holds = 1;
    trimmer->call.callback = on_trimmed;
    trimmer->call.consumer = options->consumer;
    trimmer->call.every_ms = options->settings->trim_every_ms;
    trimmer->call.stalled_ms = options->settings->group_stalled_ms;
    trimmer->call.forgotten_ms = FORGOTTEN_MS;
    (void)uv_timer_init(loop, &trimmer->timer);
    trimmer->timer.data = trimmer;
    wind(trimmer, false);
    *opened = trimmer;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void trimmer_close(struct trimmer *trimmer, void (*closed)(void *context), void *context)
{
    trimmer->closed = closed;
    trimmer->closed_context = context;
    uv_close((uv_handle_t *)&trimmer->timer, on_timer_closed);
}
