#pragma once

#include "base/attributes.h"
#include "base/buffer.h"

/*
 * libcurl, which fetches and sends mail, and is not linked: it brings some thirty libraries along (Kerberos, LDAP, a
 * second TLS), megabytes that a process which only receives webhooks has no use for. See base/library.h.
 */

/*
 * Opens and initialises it: before fetcher_create() and mailer_start(), and before there are threads. 0, or
 * LIBRARY_MISSING: `fault` says why and what to install.
 */
MUST_CHECK int curl_library_open(struct buffer *fault);

/* After everything that uses it has ended; curl_library_open() has succeeded. */
void curl_library_close(void);

/* The version that runs, like "7.88.1". It is open. */
const char *curl_library_version(void);
