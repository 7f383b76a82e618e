#pragma once

#include "base/attributes.h"
#include "base/buffer.h"

/*
 * libpq, PostgreSQL's own client, which is not linked: without DATABASE_URL it is not even loaded. See base/library.h.
 */

/* Opens it: before postgres_open(), and before there are threads. 0, or LIBRARY_MISSING: `fault` says why and what to
 * install. */
MUST_CHECK int postgres_library_open(struct buffer *fault);

/* The version that runs, like 150018. It is open. */
int postgres_library_version(void);
