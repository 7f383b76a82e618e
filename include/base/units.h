#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Quantities as people write them in settings.
 *
 *   durations  250ms 30s 5m 6h 30d
 *   sizes      4096 64k 1M 2G          powers of 1024
 *   rates      20/s 100/m              per second or per minute
 *
 * Durations and rates need their unit; only 0 stands alone.
 *
 * Parsers return 0, -EINVAL (not written like that) or -ERANGE (does not fit).
 */
MUST_CHECK int units_parse_duration(struct text text, uint64_t *milliseconds);
MUST_CHECK int units_parse_size(struct text text, uint64_t *bytes);
MUST_CHECK int units_parse_rate(struct text text, uint64_t *per_minute);

/* The shortest way of writing it that the parsers read back as the same value. */
void units_append_duration(struct buffer *buffer, uint64_t milliseconds);
void units_append_size(struct buffer *buffer, uint64_t bytes);
void units_append_rate(struct buffer *buffer, uint64_t per_minute);
