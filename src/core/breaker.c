#include "core/breaker.h"

/* While a probe is under way: its end is told, so this is for the case that it takes long. */
#define PROBE_WAIT_MS 1000

bool breaker_ask(struct breaker *breaker, uint64_t now_ms, uint64_t *wait_ms)
{
    if (breaker->state == BREAKER_OPEN && now_ms >= breaker->until_ms) {
        breaker->state = BREAKER_HALF_OPEN;
        breaker->probing = false;
    }
    switch (breaker->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        *wait_ms = breaker->until_ms - now_ms;
        return false;
    case BREAKER_HALF_OPEN:
    default:
        if (breaker->probing) {
            *wait_ms = PROBE_WAIT_MS;
            return false;
        }
        breaker->probing = true;
        return true;
    }
}

static void open(struct breaker *breaker, const struct breaker_limits *limits, uint64_t now_ms)
{
    uint64_t longer = breaker->state == BREAKER_HALF_OPEN ? breaker->pause_ms * 2 : limits->pause_ms;
    breaker->pause_ms = longer < limits->pause_most_ms ? longer : limits->pause_most_ms;
    breaker->until_ms = now_ms + breaker->pause_ms;
    breaker->state = BREAKER_OPEN;
    breaker->probing = false;
}

bool breaker_tell(struct breaker *breaker, const struct breaker_limits *limits, uint64_t now_ms, enum breaker_news news)
{
    bool was_open = breaker_is_open(breaker);
    if (news == BREAKER_SUCCESS) {
        *breaker = (struct breaker){0};
        return was_open;
    }
    if (news == BREAKER_UNKNOWN) {
        breaker->probing = false; /* another one may probe */
        return false;
    }
    breaker->faults += breaker->faults < limits->faults ? 1 : 0;
    if (breaker->state == BREAKER_HALF_OPEN ||
        (breaker->state == BREAKER_CLOSED && breaker->faults >= limits->faults)) {
        open(breaker, limits, now_ms);
    }
    /* OPEN: one that began before; that it failed, too, is no news */
    return !was_open && breaker_is_open(breaker);
}
