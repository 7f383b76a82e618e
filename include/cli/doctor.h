#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/settings.h"
#include "cli/errand.h"

/*
 * The doctor's examination: each check tells one finding or more. None of them changes anything outside, sends a mail
 * or an update, or tells a secret.
 */
enum health { HEALTH_OK, HEALTH_SKIPPED, HEALTH_WARNING, HEALTH_BROKEN, HEALTHS };

struct examination {
    const struct settings *settings;
    bool ingests; /* the role that is examined */
    bool works;
    struct errand errand; /* the loop, and the connection to Redis */
    bool json;
    struct buffer out;
    size_t counts[HEALTHS];
};

/* `check` is two words at most, `fix` what to do ("": nothing). The rest is what was found. */
void examination_tell(struct examination *examination, enum health health, const char *check, const char *fix,
                      const char *format, ...) PRINTF_LIKE(5, 6);

/* One per file doctor_*.c. */
void doctor_check_settings(struct examination *examination); /* and what is on this machine */
void doctor_check_redis(struct examination *examination);
void doctor_check_stripe(struct examination *examination);
void doctor_check_sessions(struct examination *examination);
void doctor_check_targets(struct examination *examination); /* mail, onboarding, PostgreSQL */
