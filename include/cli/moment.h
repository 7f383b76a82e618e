#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * A moment as people write it on the command line: 24h (so long before `now_ms`), 2026-11-25 or 2026-11-25T19:30:00Z
 * (UTC). 0, or -EINVAL. Milliseconds since 1970.
 */
MUST_CHECK int moment_parse(struct text text, int64_t now_ms, int64_t *moment_ms);
