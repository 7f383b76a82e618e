#pragma once

#include <stdint.h>

/* The clocks of the outside world. Pure code takes the time as an argument instead. */

/* Seconds and milliseconds since 1970, UTC: jumps when the system's clock is set. For signatures and records. */
int64_t clock_wall_seconds(void);
int64_t clock_wall_ms(void);

/* Never goes back. For deadlines and durations. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
