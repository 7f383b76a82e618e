#include <errno.h>

#include "base/clock.h"
#include "effect_private.h"

static void on_recorded(struct verification_call *call, const struct verification_result *recorded)
{
    struct effect_run *run = CONTAINER_OF(call, struct effect_run, verification);
    struct effect_result result = {.outcome = EFFECT_DONE};
    run->recording = false;
    if (recorded->outcome == VERIFICATION_REFUSED || recorded->outcome == VERIFICATION_DEFERRED) {
        result.outcome = recorded->outcome == VERIFICATION_REFUSED ? EFFECT_PERMANENT : EFFECT_TRANSIENT;
        result.retry_after_ms = recorded->retry_after_ms;
        job_fault_set(&result.fault, recorded->reason, "%s", recorded->error);
    }
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
