#pragma once

#include <stddef.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/settings.h"
#include "net/postgres.h"

/* Opens a pool of at most `connections` to DATABASE_URL, which is set. 0, or a negative code, logged: -ENOTSUP when the
 * URL is not one. libpq is open. */
MUST_CHECK int database_open(uv_loop_t *loop, const struct settings *settings, size_t connections,
                             struct postgres **postgres);
