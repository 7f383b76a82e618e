#pragma once

#include "base/attributes.h"
#include "base/buffer.h"

/*
 * libjwt, which checks the tokens of those who ask for sessions, and is not linked: see base/library.h.
 */

/* Opens it: before token_verify(), and before there are threads. 0, or LIBRARY_MISSING: `fault` says why and what to
 * install. */
MUST_CHECK int jwt_library_open(struct buffer *fault);
