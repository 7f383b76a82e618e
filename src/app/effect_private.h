#pragma once

#include "app/effect.h"

/* As effect_start(), one for each effect. */
void effect_email_prepare(struct effect_run *run);
int effect_email_start(struct effect_run *run, struct effect_result *result);
int effect_onboarding_start(struct effect_run *run, struct effect_result *result);
int effect_postgres_start(struct effect_run *run, struct effect_result *result);
int effect_erase_start(struct effect_run *run, struct effect_result *result);

/* What became of a row, as an effect's result. */
void effect_judge_row(const struct verification_result *row, struct effect_result *result);

/* Breaks off the update under way. */
void effect_onboarding_abandon(struct effect_run *run);

/* Makes `result` a failure that may be tried again at any time, and returns EFFECT_ENDED. */
int effect_fail(struct effect_result *result, enum effect_outcome outcome, const char *reason, const char *error);
