#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/server.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"

static int parse_role(const struct arguments *arguments, struct server_options *options)
{
    const char *role = arguments_value(arguments, "role");
    options->ingests = !role || strcmp(role, "all") == 0 || strcmp(role, "ingest") == 0;
    options->works = !role || strcmp(role, "all") == 0 || strcmp(role, "worker") == 0;
    if (!options->ingests && !options->works) {
        return arguments_fault(arguments, "--role takes all, ingest or worker, not '%s'", role);
    }
    return 0;
}

static int meet_service_manager(struct service_manager **manager)
{
    struct buffer faults = {0};
    int status = service_manager_open(manager, &faults);
    if (status != 0) {
        (void)fprintf(stderr, "identihook: the service manager passed what cannot be used:\n%s",
                      faults.data ? faults.data : "out of memory\n");
    }
    buffer_free(&faults);
    return status == 0 ? 0 : COMMAND_USAGE;
}

static int serve(const struct arguments *arguments)
{
    struct settings settings;
    struct server_options options = {.settings = &settings, .env_file = arguments->env_file};
    int status = parse_role(arguments, &options);
    if (status != 0) {
        return status;
    }
    unsigned needs = (options.ingests ? SETTINGS_FOR_INGEST : 0u) | (options.works ? SETTINGS_FOR_WORK : 0u);
    status = configuration_load(&settings, needs, arguments->env_file);
    status = status == 0 ? meet_service_manager(&options.manager) : status;
    if (status == 0) {
        int result = server_run(&options);
        status = result == -ENOTSUP ? COMMAND_USAGE : result < 0 ? COMMAND_FAILED : COMMAND_DONE;
    }
    service_manager_close(options.manager);
    settings_free(&settings);
    return status;
}

int serve_run(int argc, char **argv)
{
    struct buffer settings_help = {0};
    struct argument options[] = {
        {.name = "role",
         .value_name = "ROLE",
         .help = "all (the default), ingest (receive and queue) or worker (process)"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook serve [--role all|ingest|worker] [--env-file FILE]",
        .description =
            "Receives webhooks, queues them in Redis, and carries each event to its outcome.\n"
            "Runs in the foreground and logs to standard error. SIGTERM ends it in order; SIGHUP reloads the secrets.",
        .options = options,
    };
    buffer_append_string(&settings_help,
                         "settings, from the environment (each X may be given as X_FILE, a file with the value):\n");
    settings_describe(&settings_help);
    arguments.after_help = settings_help.data;
    int status = arguments_parse(&arguments, argc, argv);
    if (status == 0) {
        status = serve(&arguments);
    } else {
        status = status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    buffer_free(&settings_help);
    return status;
}
