#pragma once

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "net/conn.h"
#include "store/queue.h"
#include "stripe/signature.h"

/*
 * A webhook request's way: path and method, signature, event, queue, answer. One intake per loop.
 *
 * Nothing is looked at before the signature holds. An event is answered 200 only when Redis has confirmed it.
 */
struct intake;

/* The settings, queue and telemetry outlive it. Takes `keys`. 0 or -ENOMEM (then `keys` is freed too). */
MUST_CHECK int intake_create(const struct settings *settings, struct queue *queue, struct signature_keys *keys,
                             struct telemetry *telemetry, struct intake **intake);

/* Requests that wait for Redis must have been answered. NULL is fine. */
void intake_free(struct intake *intake);

/* Takes `keys` in the place of those it has: the secrets were changed. On the loop's thread. */
void intake_set_keys(struct intake *intake, struct signature_keys *keys);

/* For the listener; its context is the intake. */
extern const struct conn_handler intake_handler;
