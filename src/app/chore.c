#include "app/chore.h"

#include <stdlib.h>

static void release(struct chore *chore)
{
    holds_release(&chore->holds, free, chore->object);
}

static void on_timer(uv_timer_t *timer)
{
    chore_begin(timer->data);
}

static void wind(struct chore *chore, uint64_t wait_ms)
{
    (void)uv_timer_start(&chore->timer, on_timer, wait_ms, 0);
}

void chore_open(struct chore *chore, uv_loop_t *loop, uint64_t every_ms, int (*begin)(struct chore *chore),
                void *object)
{
    *chore = (struct chore){.every_ms = every_ms, .begin = begin, .object = object, .holds = {.count = 1}};
    (void)uv_timer_init(loop, &chore->timer);
    chore->timer.data = chore;
    wind(chore, every_ms);
}

bool chore_is_closing(const struct chore *chore)
{
    return chore->holds.closed != NULL;
}

void chore_begin(struct chore *chore)
{
    if (chore->under_way || chore_is_closing(chore)) {
        return;
    }
    if (chore->begin(chore) < 0) {
        wind(chore, chore->every_ms);
        return;
    }
    chore->under_way = true;
    chore->holds.count++;
}

void chore_done(struct chore *chore, uint64_t wait_ms)
{
    chore->under_way = false;
    if (!chore_is_closing(chore)) {
        wind(chore, wait_ms);
    }
    release(chore);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void chore_close(struct chore *chore, void (*closed)(void *context), void *context)
{
    holds_close(&chore->holds, closed, context);
    uv_close((uv_handle_t *)&chore->timer, on_timer_closed);
}
