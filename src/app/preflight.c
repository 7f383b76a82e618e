#include "app/preflight.h"

#include <errno.h>
#include <stdlib.h>

#include <uv.h>

#include "app/queue_options.h"
#include "base/log.h"

#define PATIENCE_MS 1000

struct preflight {
    uv_loop_t loop;
    uv_timer_t deadline;
    struct queue *queue;
    bool ending;
    int status;
};

static void on_closed(void *context)
{
    (void)context;
}

static void end(struct preflight *preflight)
{
    if (!preflight->ending) {
        preflight->ending = true;
        uv_close((uv_handle_t *)&preflight->deadline, NULL);
        queue_close(preflight->queue, on_closed, NULL);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    end(timer->data);
}

static void on_state(void *context, bool ready)
{
    if (ready) {
        end(context);
    }
}

static void on_refused(void *context, const char *why)
{
    struct preflight *preflight = context;
    if (preflight->status == 0) {
        log_error("redis is not what the settings require", LOG_STRING("why", why));
        preflight->status = -ENOTSUP;
        (void)uv_timer_start(&preflight->deadline, on_deadline, 0, 0); /* not within what calls us */
    }
}

static int ask(struct preflight *preflight, const struct settings *settings)
{
    struct queue_options options = queue_options_of(settings, "identihook-preflight");
    options.durability = settings->durability;
    options.replicas = (unsigned)settings->durability_replicas;
    options.require_durable = settings->require_durable != 0;
    options.on_state = on_state;
    options.on_refused = on_refused;
    options.context = preflight;
    int status = uv_loop_init(&preflight->loop);
    if (status < 0) {
        return status;
    }
    (void)uv_timer_init(&preflight->loop, &preflight->deadline);
    preflight->deadline.data = preflight;
    (void)uv_timer_start(&preflight->deadline, on_deadline, PATIENCE_MS, 0);
    status = queue_open(&preflight->loop, &options, &preflight->queue);
    if (status < 0) {
        uv_close((uv_handle_t *)&preflight->deadline, NULL);
    }
    (void)uv_run(&preflight->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&preflight->loop);
    return status;
}

int preflight(const struct settings *settings, bool ingests)
{
    bool requires_much = settings->require_durable != 0 || (ingests && settings->durability == DURABILITY_AOF);
    struct preflight preflight = {0};
    int status = requires_much ? ask(&preflight, settings) : 0;
    return status == 0 ? preflight.status : status;
}
