#include "app/effect.h"

#include "effect_private.h"

void effect_prepare(enum action action, struct effect_run *run)
{
    buffer_wipe(&run->mail);
    if (action == ACTION_EMAIL) {
        effect_email_prepare(run);
    }
}

int effect_start(enum action action, struct effect_run *run, struct effect_result *result)
{
    static int (*const starts[ACTIONS])(struct effect_run *, struct effect_result *) = {
        [ACTION_EMAIL] = effect_email_start,
        [ACTION_ONBOARDING] = effect_onboarding_start,
        [ACTION_POSTGRES] = effect_postgres_start,
        [ACTION_ERASE] = effect_erase_start,
    };
    *result = (struct effect_result){0};
    run->fetch = NULL;
    run->recording = false;
    run->erasing = false;
    return starts[action](run, result);
}

bool effect_abandon(struct effect_run *run)
{
    if (run->erasing) {
        erasure_stop(&run->erasure); /* it ends with Redis's next answer */
        return false;
    }
    if (run->recording) {
        verification_abandon(run->tools->postgres, &run->verification);
        run->recording = false;
        return true;
    }
    if (!run->fetch) {
        return run->tools->mail && mail_withdraw(run->tools->mail, run);
    }
    effect_onboarding_abandon(run);
    return true;
}

int effect_fail(struct effect_result *result, enum effect_outcome outcome, const char *reason, const char *error)
{
    *result = (struct effect_result){.outcome = outcome};
    job_fault_set(&result->fault, reason, "%s", error);
    return EFFECT_ENDED;
}
