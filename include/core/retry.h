#pragma once

#include <stdint.h>

/*
 * When to try again: exponential backoff with full jitter, which spreads the tries of many events evenly
 * ("Exponential Backoff And Jitter", AWS Architecture Blog).
 *
 * `failures` (at least 1) tries have failed; `random` is uniform over 64 bits. The delay is uniform in
 * 0 .. min(cap, base * 2^(failures - 1)) milliseconds, but not less than `retry_after_ms`, which the other side asked
 * for: the cap is for what we choose ourselves.
 */
uint64_t retry_delay_ms(unsigned failures, uint64_t base_ms, uint64_t cap_ms, uint64_t retry_after_ms, uint64_t random);

/*
 * `delay_ms`, or less where after it no try could succeed any more: `left_ms` from now, something ends that it needs.
 * There are tries an hour, five minutes and half a minute before the end. 0: nothing ends, or it is over.
 */
uint64_t retry_before_end(uint64_t delay_ms, uint64_t left_ms);
