#pragma once

#include "base/attributes.h"
#include "base/settings.h"

/*
 * Loads the settings and sets the log up by them. 0; COMMAND_USAGE: the faults were printed to standard error.
 * `settings` is to be freed in either case. `needs` is a set of enum settings_need.
 */
MUST_CHECK int configuration_load(struct settings *settings, unsigned needs, const char *env_file);

/* Opens what a command needs to talk to PostgreSQL. 0, or COMMAND_FAILED: told on standard error. */
MUST_CHECK int configuration_open_postgres(void);
