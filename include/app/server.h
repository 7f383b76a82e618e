#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/service_manager.h"
#include "base/settings.h"

/*
 * The whole program: reactors, mailer, admin listener, signals.
 *
 * SIGTERM and SIGINT: readiness goes red, IDENTIHOOK_DRAIN_DELAY passes while requests are still served, then the
 * listeners close, what is under way ends or is handed back, and the process ends. A second one ends it at once.
 * SIGHUP: the signing secrets are read again (from the files that X_FILE and --env-file name) and put in place
 * together.
 *
 * A service manager is told READY=1 when all listeners are open and every loop runs (Redis may still be away), around a
 * reload RELOADING=1 and READY=1, STOPPING=1 when readiness goes red, and WATCHDOG=1 as long as every loop turns: one
 * that is stuck makes it restart this process.
 */
struct server_options {
    struct settings *settings;
    const char *env_file;            /* NULL: none; read again on SIGHUP */
    struct service_manager *manager; /* outlives the server */
    bool ingests;
    bool works;
};

/* Runs until it is told to stop. 0: it ended as told; a negative code: it could not start, logged. */
MUST_CHECK int server_run(const struct server_options *options);
