#pragma once

#include <stdint.h>

#include "app/mail_writer.h"
#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "core/breaker.h"
#include "core/job.h"
#include "net/fetch.h"
#include "net/mail.h"
#include "net/postgres.h"
#include "store/entry.h"
#include "store/erasure.h"
#include "store/verification.h"
#include "stripe/session.h"

/*
 * What an event sets off outside: a mail, an update of the onboarding service, a row in PostgreSQL. Each effect carries
 * something by which its receiver can tell that it has seen it before: the Message-ID, the Idempotency-Key, the event's
 * id in PostgreSQL's ledger. Erasing what is held about a session is one, too, and may be repeated as such.
 */
enum effect_outcome {
    EFFECT_DONE,
    EFFECT_TRANSIENT,
    EFFECT_PERMANENT,
    EFFECT_SKIPPED, /* the session has not what it takes, and the settings say that this is fine: fault */
};

struct effect_result {
    enum effect_outcome outcome;
    struct job_fault fault;  /* unless DONE */
    uint64_t retry_after_ms; /* TRANSIENT: not before */
};

/* What effects work with; one per loop. */
struct effect_tools {
    const struct settings *settings;
    struct queue *queue;
    struct telemetry *telemetry;
    struct fetcher *onboarding; /* NULL without IDENTIHOOK_ONBOARDING_URL; as many at once as the service shall get */
    struct breaker *onboarding_breaker;
    struct mail_outlet *mail;   /* NULL without SMTP_URL */
    struct mail_writer *writer; /* NULL without SMTP_URL */
    struct postgres *postgres;  /* NULL without DATABASE_URL */
};

/* One effect under way; embedded by the caller, and left in place until it has ended or was abandoned. */
struct effect_run {
    const struct effect_tools *tools; /* these are the caller's; they stay as they are while it runs */
    const struct entry *entry;
    const struct session *session;
    void (*ended)(struct effect_run *run, const struct effect_result *result);
    struct buffer mail;  /* filled by effect_prepare(); replaced by the caller with what was frozen */
    struct fetch *fetch; /* the effect's own, this and the next */
    bool erasing;
    bool recording;
    struct erasure erasure;
    struct verification_call verification;
};

#define EFFECT_ENDED 1

/*
 * Writes what is to be frozen before the effect starts: the whole mail and its envelope, into run->mail. Nothing for
 * the other effects, and where it cannot be written: starting then says why. The caller wipes it.
 */
void effect_prepare(enum action action, struct effect_run *run);

/*
 * Runs an effect. 0: it is under way, and `ended` will run once, later. EFFECT_ENDED: it has ended at once, *result
 * says how, and `ended` will not run.
 */
MUST_CHECK int effect_start(enum action action, struct effect_run *run, struct effect_result *result);

/* Breaks it off where that is possible: true when `ended` will not run any more. Mails that a thread has begun cannot
 * be called back. */
MUST_CHECK bool effect_abandon(struct effect_run *run);
