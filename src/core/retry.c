#include "core/retry.h"

#include <stddef.h>

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t retry_delay_ms(unsigned failures, uint64_t base_ms, uint64_t cap_ms, uint64_t retry_after_ms, uint64_t random)
{
    uint64_t ceiling = base_ms;
    for (unsigned i = 1; i < failures && ceiling < cap_ms; i++) {
        ceiling = ceiling > UINT64_MAX / 2 ? UINT64_MAX : ceiling * 2;
    }
    ceiling = least(ceiling, cap_ms);
    uint64_t delay = ceiling == UINT64_MAX ? random : random % (ceiling + 1);
    return delay > retry_after_ms ? delay : retry_after_ms;
}

uint64_t retry_before_end(uint64_t delay_ms, uint64_t left_ms)
{
    static const uint64_t margins_ms[] = {3600000, 300000, 30000};
    for (size_t i = 0; i < sizeof(margins_ms) / sizeof(margins_ms[0]); i++) {
        if (left_ms > margins_ms[i]) {
            return least(delay_ms, left_ms - margins_ms[i]);
        }
    }
    return delay_ms;
}
