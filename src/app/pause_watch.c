#include "app/pause_watch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

#define PROCESSING_BIT 1u

struct pause_watch {
    struct pause_watch_options options;
    uv_timer_t timer;
    struct control_call call;
    bool asking;
    bool known;
    unsigned paused; /* bits as in telemetry->paused */
    int holds;       /* what keeps this object: the timer, and the call under way */
    void (*closed)(void *context);
    void *closed_context;
};

static unsigned bit_of(enum action action)
{
    return 2u << action;
}

static void release(struct pause_watch *watch)
{
    if (--watch->holds == 0) {
        assert(watch->closed); /* the timer has a hold until then */
        void (*closed)(void *) = watch->closed;
        void *context = watch->closed_context;
        free(watch);
        closed(context);
    }
}

static void log_change(const char *what, bool paused)
{
    if (paused) {
        log_warn("paused by an operator: identihook status tells who and why", LOG_STRING("what", what));
    } else {
        log_info("resumed by an operator", LOG_STRING("what", what));
    }
}

static void log_changes(unsigned before, unsigned paused)
{
    if ((before ^ paused) & PROCESSING_BIT) {
        log_change(CONTROL_PROCESSING, paused & PROCESSING_BIT);
    }
    for (enum action action = 0; action < ACTIONS; action++) {
        if ((before ^ paused) & bit_of(action)) {
            log_change(action_names[action], paused & bit_of(action));
        }
    }
}

static void take(struct pause_watch *watch, const struct control *control)
{
    unsigned paused = control_has(control, CONTROL_PROCESSING) ? PROCESSING_BIT : 0;
    for (enum action action = 0; action < ACTIONS; action++) {
        paused |= control_has(control, action_names[action]) ? bit_of(action) : 0;
    }
    bool changed = !watch->known || paused != watch->paused;
    log_changes(watch->paused, paused);
    watch->known = true;
    watch->paused = paused;
    telemetry_set(&watch->options.telemetry->paused, paused);
    if (changed) {
        watch->options.on_change(watch->options.context);
    }
}

static void on_read(struct control_call *call, const struct control *control, const char *error)
{
    static const struct control nothing;
    struct pause_watch *watch = CONTAINER_OF(call, struct pause_watch, call);
    watch->asking = false;
    if (!watch->closed && (control || (error[0] != '\0' && !watch->known))) {
        if (!control) {
            log_error("it cannot be read what is paused, so nothing is", LOG_STRING("error", error));
        }
        take(watch, control ? control : &nothing);
    }
    release(watch);
}

void pause_watch_ask(struct pause_watch *watch)
{
    if (watch->asking || watch->closed) {
        return;
    }
    watch->call.callback = on_read;
    watch->asking = control_read(watch->options.queue, &watch->call) == 0;
    watch->holds += watch->asking ? 1 : 0;
}

static void on_timer(uv_timer_t *timer)
{
    pause_watch_ask(timer->data);
}

int pause_watch_open(uv_loop_t *loop, const struct pause_watch_options *options, struct pause_watch **opened)
{
    struct pause_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->options = *options;
    watch->holds = 1;
    (void)uv_timer_init(loop, &watch->timer);
    watch->timer.data = watch;
    (void)uv_timer_start(&watch->timer, on_timer, PAUSE_WATCH_INTERVAL_MS, PAUSE_WATCH_INTERVAL_MS);
    *opened = watch;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void pause_watch_close(struct pause_watch *watch, void (*closed)(void *context), void *context)
{
    watch->closed = closed;
    watch->closed_context = context;
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}

bool pause_watch_permits(const struct pause_watch *watch)
{
    return watch->known && !(watch->paused & PROCESSING_BIT);
}

bool pause_watch_holds(const struct pause_watch *watch, enum action action)
{
    return watch->paused & bit_of(action);
}
