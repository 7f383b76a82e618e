#include "effect_private.h"

/* A session was redacted at Stripe: erases what Redis holds about it, and then its row. It is the session's turn, so no
 * other event of the session is in process. */

static void finish(struct effect_run *run, struct effect_result *result)
{
    run->ended(run, result);
}

static void on_row_erased(struct verification_call *call, const struct verification_result *erased)
{
    struct effect_run *run = CONTAINER_OF(call, struct effect_run, verification);
    struct effect_result result = {.outcome = EFFECT_DONE};
    run->recording = false;
    effect_judge_row(erased, &result);
    finish(run, &result);
}

static void erase_row(struct effect_run *run)
{
    struct effect_result result = {.outcome = EFFECT_DONE};
    if (run->tools->postgres) {
        run->verification.callback = on_row_erased;
        run->recording = verification_erase(run->tools->postgres, &run->verification, run->entry->session) == 0;
        if (run->recording) {
            return;
        }
        (void)effect_fail(&result, EFFECT_TRANSIENT, "postgres_busy", "too many rows wait for PostgreSQL");
    }
    finish(run, &result);
}

static void on_erased(struct erasure *erasure, enum erasure_outcome outcome)
{
    struct effect_run *run = CONTAINER_OF(erasure, struct effect_run, erasure);
    run->erasing = false;
    if (outcome == ERASURE_DONE) {
        erase_row(run);
        return;
    }
    struct effect_result result;
    (void)effect_fail(&result, EFFECT_TRANSIENT, "erasing_broken_off",
                      "Redis did not answer, or the worker was to stop");
    finish(run, &result);
}

int effect_erase_start(struct effect_run *run, struct effect_result *result)
{
    struct erasure_options options = {.session = run->entry->session, .spared = run->entry->id};
    run->erasure.callback = on_erased;
    run->erasing = erasure_start(run->tools->queue, &run->erasure, &options) == 0;
    return run->erasing ? 0 : effect_fail(result, EFFECT_TRANSIENT, "erasing_broken_off", "Redis takes no request now");
}
