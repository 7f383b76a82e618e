#include "cli/command.h"

#include <stdio.h>
#include <string.h>

const struct command command_table[] = {
    {"serve", "[--role all|ingest|worker]", "receive, queue and process events", serve_run},
    {"trigger", "TYPE [--url URL] [--session ID] [--count N] [--rate N]", "sign and send sample events", trigger_run},
    {"doctor", "[--role all|ingest|worker] [--json]", "look at each setting and dependency, and say what to do",
     doctor_run},
    {"status", "[--watch] [--json]", "backlog, retries, dead letters and pauses, per consumer group", status_run},
    {"explain", "evt_…|vs_… [--json]", "one event's life, or a session's: tries, errors, effects, where it is",
     explain_run},
    {"dead", "list|show|replay|discard [options]",
     "the dead letters: what could not be carried to its outcome, and why", dead_run},
    {"reconcile", "[--since 24h] [--dry-run] [--account ID] [--json]",
     "ask Stripe which events exist, and queue those never received", reconcile_run},
    {"pause", "[processing|email|onboarding|postgres] [--reason TEXT]",
     "stop taking events, or leave one effect undone", pause_run},
    {"resume", "[processing|email|onboarding|postgres]", "end a pause", resume_run},
    {"verify", "--payload FILE --header TEXT", "check a signature offline and say why it fails", verify_run},
    {"preview", "verified|requires_input [--code CODE] [--html]", "what a mail would look like", preview_run},
    {"health", "[--ready] [--timeout MS]", "how the identihook of this machine is: for containers' health checks",
     health_run},
    {"migrate", "[--dry-run]", "make the tables in PostgreSQL, or bring them up to date", migrate_run},
    {"redact", "vs_… [--yes|--dry-run] [--reason TEXT] [--json]", "erase all that is held about a session", redact_run},
    {"version", "", "versions of identihook and its libraries", version_run},
    {NULL, NULL, NULL, NULL},
};

static void print_commands(FILE *file)
{
    (void)fputs("identihook receives Stripe Identity webhooks, answers 200 only once the event is safely in Redis,\n"
                "and carries each event to its outcome.\n\nusage: identihook COMMAND [options]\n\n",
                file);
    for (const struct command *command = command_table; command->name; command++) {
        (void)fprintf(file, "  %-9s %s\n            %s\n", command->name, command->summary, command->arguments);
    }
    (void)fputs("\n'identihook COMMAND --help' tells more of each; 'identihook serve --help' lists every setting.\n",
                file);
}

int command_run(int argc, char **argv)
{
    if (argc < 2) {
        print_commands(stderr);
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_commands(stdout);
        return COMMAND_DONE;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (const struct command *command = command_table; command->name; command++) {
        if (strcmp(command->name, name) == 0) {
            return command->run(argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "identihook: there is no command '%s'\n\n", argv[1]);
    print_commands(stderr);
    return COMMAND_USAGE;
}
