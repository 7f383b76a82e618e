#pragma once

#include "base/redis_url.h"
#include "net/tls.h"

/*
 * The TLS context that all connections to Redis with the same files share: reading a system's authorities takes
 * milliseconds and a megabyte. The files are read anew when they have changed, so that a renewed certificate is used by
 * the next connection. From any thread.
 */

/* A held context, to be released. 0; -EINVAL: `error` says which file is at fault; -ENOMEM. */
MUST_CHECK int redis_tls_acquire(const struct redis_url *url, struct tls_context **context, char error[256]);
