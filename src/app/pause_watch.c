#include "app/pause_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "app/chore.h"
#include "base/log.h"

#define PROCESSING_BIT 1u

struct pause_watch {
    struct pause_watch_options options;
    struct chore chore; /* a turn is a question */
    struct control_call call;
    bool known;
    unsigned paused; /* bits as in telemetry->paused */
};

static unsigned bit_of(enum action action)
{
    return 2u << action;
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
    if (!chore_is_closing(&watch->chore) && (control || (error[0] != '\0' && !watch->known))) {
        if (!control) {
            log_error("it cannot be read what is paused, so nothing is", LOG_STRING("error", error));
        }
        take(watch, control ? control : &nothing);
    }
    chore_done(&watch->chore, PAUSE_WATCH_INTERVAL_MS);
}

static int begin(struct chore *chore)
{
    struct pause_watch *watch = CONTAINER_OF(chore, struct pause_watch, chore);
    return control_read(watch->options.queue, &watch->call);
}

void pause_watch_ask(struct pause_watch *watch)
{
    chore_begin(&watch->chore);
}

int pause_watch_open(uv_loop_t *loop, const struct pause_watch_options *options, struct pause_watch **opened)
{
    struct pause_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->options = *options;
    watch->call.callback = on_read;
    chore_open(&watch->chore, loop, PAUSE_WATCH_INTERVAL_MS, begin, watch);
    *opened = watch;
    return 0;
}

void pause_watch_close(struct pause_watch *watch, void (*closed)(void *context), void *context)
{
    chore_close(&watch->chore, closed, context);
}

bool pause_watch_permits(const struct pause_watch *watch)
{
    return watch->known && !(watch->paused & PROCESSING_BIT);
}

bool pause_watch_holds(const struct pause_watch *watch, enum action action)
{
    return watch->paused & bit_of(action);
}
