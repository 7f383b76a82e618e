#include <errno.h>

#include "base/clock.h"
#include "effect_private.h"

void effect_judge_row(const struct verification_result *row, struct effect_result *result)
{
    result->outcome = row->outcome == VERIFICATION_REFUSED    ? EFFECT_PERMANENT
                      : row->outcome == VERIFICATION_DEFERRED ? EFFECT_TRANSIENT
                                                              : EFFECT_DONE;
    if (result->outcome != EFFECT_DONE) {
        result->retry_after_ms = row->retry_after_ms;
        job_fault_set(&result->fault, row->reason, "%s", row->error);
    }
}

static void on_recorded(struct verification_call *call, const struct verification_result *recorded)
{
    struct effect_run *run = CONTAINER_OF(call, struct effect_run, verification);
    struct effect_result result = {.outcome = EFFECT_DONE};
    run->recording = false;
    effect_judge_row(recorded, &result);
    run->ended(run, &result);
}

int effect_postgres_start(struct effect_run *run, struct effect_result *result)
{
    struct verification verification = {
        .event = run->entry->event,
        .type = run->entry->type,
        .account = run->entry->account,
        .created = run->entry->created,
        .checked_ms = clock_wall_ms(),
        .livemode = run->entry->livemode,
        .session = run->session,
    };
    run->verification.callback = on_recorded;
    int status = verification_record(run->tools->postgres, &run->verification, &verification,
                                     run->tools->settings->dedupe_window_ms);
    if (status == 0) {
        run->recording = true;
        return 0;
    }
    return effect_fail(result, EFFECT_TRANSIENT, "postgres_busy",
                       status == -ENOBUFS ? "too many rows wait for PostgreSQL" : "out of memory");
}
