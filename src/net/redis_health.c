#include "redis_health.h"

#include <stdatomic.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "base/log.h"

#define WAIT_FIRST_MS 100 /* how soon a server that takes no writes is asked again, doubling up to: */
#define WAIT_LAST_MS 2000

static _Atomic uint64_t met[REDIS_TROUBLES];

static void on_pulse(uv_timer_t *timer);

uint64_t redis_health_met(enum redis_trouble trouble)
{
    return atomic_load_explicit(&met[trouble], memory_order_relaxed);
}

static void count_trouble(enum redis_trouble trouble)
{
    if (trouble != REDIS_FINE) {
        atomic_fetch_add_explicit(&met[trouble], 1, memory_order_relaxed);
    }
}

static void note_trouble(struct redis_health *health, enum redis_trouble trouble)
{
    health->trouble = trouble;
    count_trouble(trouble);
}

static void wind_pulse(struct redis_health *health)
{
    uint64_t wait = health->options->check_every_ms;
    if (health->trouble != REDIS_FINE) {
        wait = health->waits < 5 ? (uint64_t)WAIT_FIRST_MS << health->waits : WAIT_LAST_MS;
    }
    if (wait > 0) {
        (void)uv_timer_start(&health->pulse, on_pulse, wait, 0);
    }
}

/* ---- what answers tell */

/* It is there, but refuses us: kept, not used, and asked now and then. */
static void hold(struct redis_health *health, enum redis_trouble trouble, const char *why)
{
    bool was_fine = health->trouble == REDIS_FINE;
    if (was_fine) {
        static struct log_limit limit;
        uint64_t suppressed;
        health->waits = 0;
        if (log_limit_pass(&limit, 10000, &suppressed)) {
            log_error("redis refuses to serve us", LOG_STRING("connection", health->options->name),
                      LOG_STRING("error", why), LOG_STRING("fix", redis_trouble_advice(trouble)),
                      LOG_NUMBER("suppressed", suppressed));
        }
    }
    note_trouble(health, trouble);
    if (was_fine) {
        wind_pulse(health);
        health->on_change(health->context, false);
    }
}

enum redis_trouble redis_health_hear(struct redis_health *health, const char *error)
{
    health->heard = true;
    if (!error || !health->begun) {
        return REDIS_FINE;
    }
    enum redis_trouble trouble = redis_trouble_of(text_of(error));
    enum redis_remedy remedy = redis_trouble_remedy(trouble);
    if (remedy == REDIS_REMEDY_RECONNECT) {
        return trouble;
    }
    if (remedy == REDIS_REMEDY_WAIT && health->options->probe) {
        hold(health, trouble, error);
    } else {
        count_trouble(trouble);
    }
    return REDIS_FINE;
}

/* ---- asking */

static void on_check(struct redis_call *call, const redisReply *reply)
{
    struct redis_health *health = CONTAINER_OF(call, struct redis_health, check);
    health->checking = false;
    if (!health->begun) {
        return; /* lost */
    }
    bool refused = !reply || reply->type == REDIS_REPLY_ERROR; /* NULL: it was asked for elsewhere, and lost there */
    if (health->trouble != REDIS_FINE && !refused) {
        log_info("redis serves us again", LOG_STRING("connection", health->options->name),
                 LOG_NUMBER("checks", health->waits));
        health->trouble = REDIS_FINE;
        health->on_change(health->context, true);
    }
    health->waits += refused ? 1 : 0;
    wind_pulse(health);
}

/* While the slot is in two places, a command is refused that names several keys of which one is nowhere. */
static int send_slot_check(struct redis_health *health)
{
    const char *probe = health->options->probe;
    char nowhere[256];
    (void)snprintf(nowhere, sizeof(nowhere), "%s:nowhere", probe);
    struct text words[] = {TEXT("EXISTS"), text_of(probe), text_of(nowhere)};
    return redis_pipeline_command(health->pipeline, &health->check, ARRAY_LENGTH(words), words);
}

static int send_check(struct redis_health *health)
{
    const char *probe = health->options->probe;
    health->check.callback = on_check;
    if (health->trouble == REDIS_SLOT_MIGRATES) {
        return send_slot_check(health);
    }
    if (!probe || (health->trouble == REDIS_FINE && !health->options->probes_idle)) {
        return redis_pipeline_command(health->pipeline, &health->check, 1, &TEXT("PING"));
    }
    struct text words[] = {TEXT("SET"), text_of(probe), TEXT("1"), TEXT("PX"), TEXT("60000")};
    return redis_pipeline_command(health->pipeline, &health->check, ARRAY_LENGTH(words), words);
}

static void on_pulse(uv_timer_t *timer)
{
    struct redis_health *health = timer->data;
    bool needed = health->trouble != REDIS_FINE || !health->heard;
    health->heard = false;
    if (needed && !health->checking) {
        health->checking = send_check(health) == 0;
    }
    if (!health->checking) {
        wind_pulse(health);
    }
}

/* ---- its beginning and end */

void redis_health_init(struct redis_health *health, uv_loop_t *loop, const struct redis_options *options,
                       struct redis_pipeline *pipeline, void (*on_change)(void *context, bool fine), void *context)
{
    *health = (struct redis_health){
        .options = options, .pipeline = pipeline, .on_change = on_change, .context = context, .trouble = REDIS_AWAY};
    (void)uv_timer_init(loop, &health->pulse);
    health->pulse.data = health;
}

void redis_health_begin(struct redis_health *health)
{
    health->trouble = REDIS_FINE;
    health->begun = true;
    health->heard = true;
    health->checking = false;
    wind_pulse(health);
}

void redis_health_end(struct redis_health *health, enum redis_trouble trouble)
{
    health->begun = false;
    note_trouble(health, trouble);
    (void)uv_timer_stop(&health->pulse);
}

static void on_pulse_closed(uv_handle_t *handle)
{
    struct redis_health *health = handle->data;
    health->closed(health->context);
}

void redis_health_close(struct redis_health *health, void (*closed)(void *context))
{
    health->begun = false;
    health->closed = closed;
    uv_close((uv_handle_t *)&health->pulse, on_pulse_closed);
}
