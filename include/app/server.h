#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/settings.h"

/*
 * The whole program: reactors, mailer, admin listener, signals.
 *
 * SIGTERM and SIGINT: readiness goes red, IDENTIHOOK_DRAIN_DELAY passes while requests are still served, then the
 * listeners close, what is under way ends or is handed back, and the process ends. A second one ends it at once.
 * SIGHUP: the signing secrets are read again (from the files that X_FILE and --env-file name) and put in place
 * together.
 */
struct server_options {
    struct settings *settings;
    const char *env_file; /* NULL: none; read again on SIGHUP */
    bool ingests;
    bool works;
};

/* Runs until it is told to stop. 0: it ended as told; a negative code: it could not start, logged. */
MUST_CHECK int server_run(const struct server_options *options);
