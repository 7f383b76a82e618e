#include "cli/dead.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const struct verb {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"list", "what could not be carried to its outcome, oldest first, and why", dead_list_run},
    {"show", "one of them with all that is known, or with its payload", dead_show_run},
    {"replay", "back into the stream, for a new life; what is done is not repeated", dead_replay_run},
    {"discard", "away, for good", dead_discard_run},
};

static void print_verbs(FILE *file)
{
    (void)fputs("usage: identihook dead VERB [options]\n\n"
                "Dead letters are events that failed for good, or too often: each is kept whole, with the reason.\n\n",
                file);
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
        (void)fprintf(file, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
    }
    (void)fputs("\n'identihook dead VERB --help' tells more of each.\n", file);
}

int dead_run(int argc, char **argv)
{
    if (argc < 2) {
        print_verbs(stderr);
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_verbs(stdout);
        return COMMAND_DONE;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "identihook: dead has no verb '%s'\n\n", argv[1]);
    print_verbs(stderr);
    return COMMAND_USAGE;
}
