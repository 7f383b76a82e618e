#include "cli/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

#define OPTIONS_MAXIMUM 24

enum { OPTION_HELP = 1000, OPTION_ENV_FILE };

static void print_help(const struct arguments *arguments)
{
    printf("usage: %s\n\n%s\n\noptions:\n", arguments->usage, arguments->description);
    for (const struct argument *option = arguments->options; option->name; option++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "--%s%s%s", option->name, option->value_name ? " " : "",
                       option->value_name ? option->value_name : "");
        printf("  %-24s %s\n", name, option->help);
    }
    printf("  %-24s %s\n", "--env-file FILE", "read settings from FILE too; the environment wins over it");
    printf("  %-24s %s\n", "--help", "this text");
    if (arguments->after_help) {
        printf("\n%s", arguments->after_help);
    }
}

static size_t fill_long_options(const struct argument *options, struct option *long_options)
{
    size_t count = 0;
    for (; count < OPTIONS_MAXIMUM && options[count].name; count++) {
        long_options[count] = (struct option){.name = options[count].name,
                                              .has_arg = options[count].value_name ? required_argument : no_argument,
                                              .val = (int)count};
    }
    long_options[count] = (struct option){.name = "help", .val = OPTION_HELP};
    long_options[count + 1] = (struct option){.name = "env-file", .has_arg = required_argument, .val = OPTION_ENV_FILE};
    return count;
}

static int take_positional(struct arguments *arguments, int argc, char **argv)
{
    arguments->positional = argv + optind;
    arguments->positional_count = (size_t)(argc - optind);
    if (arguments->positional_count > arguments->positional_maximum) {
        (void)arguments_fault(arguments, "unexpected argument '%s'", argv[optind + (int)arguments->positional_maximum]);
        return -EINVAL;
    }
    return 0;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv)
{
    struct option long_options[OPTIONS_MAXIMUM + 3] = {0};
    size_t count = fill_long_options(arguments->options, long_options);
    optind = 0; /* glibc: start over, also after an earlier parse */
    opterr = 0; /* our own words */
    int found;
    while ((found = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        if (found == OPTION_HELP || found == 'h') {
            print_help(arguments);
            return 1;
        }
        if (found == OPTION_ENV_FILE) {
            arguments->env_file = optarg;
        } else if (found >= 0 && (size_t)found < count) {
            arguments->options[found].value = optarg ? optarg : "";
        } else if (found == ':') {
            (void)arguments_fault(arguments, "%s needs a value", argv[optind - 1]);
            return -EINVAL;
        } else {
            (void)arguments_fault(arguments, "unknown option '%s'", argv[optind - 1]);
            return -EINVAL;
        }
    }
    return take_positional(arguments, argc, argv);
}

const char *arguments_value(const struct arguments *arguments, const char *name)
{
    for (const struct argument *option = arguments->options; option->name; option++) {
        if (strcmp(option->name, name) == 0) {
            return option->value;
        }
    }
    return NULL;
}

int arguments_number(const struct arguments *arguments, const char *name, int64_t least, int64_t most,
                     int64_t otherwise, int64_t *value)
{
    const char *text = arguments_value(arguments, name);
    if (!text) {
        *value = otherwise;
        return 0;
    }
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
        (void)arguments_fault(arguments, "--%s takes a whole number from %lld to %lld, not '%s'", name,
                              (long long)least, (long long)most, text);
        return -EINVAL;
    }
    *value = number;
    return 0;
}

int arguments_fault(const struct arguments *arguments, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("identihook: ", stderr);
    (void)vfprintf(stderr, format, list);
    va_end(list);
    (void)fprintf(stderr, "\nusage: %s\n(--help tells more)\n", arguments->usage);
    return COMMAND_USAGE;
}
