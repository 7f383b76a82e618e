#pragma once

#include "app/reply.h"
#include "app/router.h"
#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "store/queue.h"
#include "stripe/signature.h"

/*
 * A webhook request's way: signature, event, queue, answer. One intake per loop.
 *
 * Nothing is looked at before the signature holds. An event is answered 200 only when Redis has confirmed it.
 */
struct intake;

struct intake_options {
    const struct settings *settings; /* this and the others outlive the intake */
    struct queue *queue;
    struct telemetry *telemetry;
    const struct replies *replies;
    struct signature_keys *keys; /* taken */
};

/* 0 or -ENOMEM (then the keys are freed too). */
MUST_CHECK int intake_create(const struct intake_options *options, struct intake **intake);

/* Requests that wait for Redis must have been answered. NULL is fine. */
void intake_free(struct intake *intake);

/* Takes `keys` in the place of those it has: the secrets were changed. On the loop's thread. */
void intake_set_keys(struct intake *intake, struct signature_keys *keys);

/* Its way in: POST to IDENTIHOOK_WEBHOOK_PATH. */
struct route intake_route(struct intake *intake);
