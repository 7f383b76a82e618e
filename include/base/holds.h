#pragma once

#include <assert.h>

/*
 * What keeps an object that lives among callbacks: its handles, its parts and the calls under way, a hold each. When it
 * is being closed, the release of the last hold frees it and tells whoever closed it. Embedded in the object.
 */
struct holds {
    unsigned count;                /* by those who take one */
    void (*closed)(void *context); /* NULL: it is not being closed */
    void *context;
};

/* It is being closed: `closed` runs after the last release. Something that ends by itself must hold it still. */
static inline void holds_close(struct holds *holds, void (*closed)(void *context), void *context)
{
    holds->closed = closed;
    holds->context = context;
}

/* One hold less. With the last one goes `object`, by `put_away` (which may be free()), and `closed` runs. */
static inline void holds_release(struct holds *holds, void (*put_away)(void *object), void *object)
{
    if (--holds->count == 0) {
        assert(holds->closed); /* else its own hold would be there still */
        struct holds ended = *holds;
        put_away(object);
        ended.closed(ended.context);
    }
}
