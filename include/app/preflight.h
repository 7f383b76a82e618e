#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/settings.h"

/*
 * Before anything starts: is Redis what the settings require? Asked only when they require something, and only of a
 * Redis that answers within a second: one that is away is asked when it comes, and answered 503 for until it fits.
 *
 * 0: go on. -ENOTSUP: it is not, which was logged with the way out. Another negative code when the machine failed.
 */
MUST_CHECK int preflight(const struct settings *settings, bool ingests);
