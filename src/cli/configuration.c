#include "cli/configuration.h"

#include <stdio.h>

#include "cli/command.h"
#include "net/postgres_library.h"

int configuration_load(struct settings *settings, unsigned needs, const char *env_file)
{
    struct buffer faults = {0};
    int status = settings_load(settings, needs, env_file, &faults);
    if (status != 0) {
        (void)fprintf(stderr, "identihook: the configuration is faulty:\n%s",
                      faults.data ? faults.data : "out of memory\n");
        buffer_free(&faults);
        return COMMAND_USAGE;
    }
    buffer_free(&faults);
    log_configure(settings->log_format, settings->log_level);
    return 0;
}

int configuration_open_postgres(void)
{
    struct buffer fault = {0};
    int status = postgres_library_open(&fault);
    if (status != 0) {
        (void)fprintf(stderr, "identihook: %s\n", fault.data ? fault.data : "out of memory");
    }
    buffer_free(&fault);
    return status == 0 ? 0 : COMMAND_FAILED;
}
