#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/*
 * A command's options, declared in one table, from which parsing and --help both come.
 *
 * Every command also takes --help and --env-file.
 */
struct argument {
    const char *name;       /* long name, without the dashes */
    const char *value_name; /* NULL: a flag */
    const char *help;
    const char *value; /* filled in: the value, "" for a given flag, NULL when it was not given */
};

struct arguments {
    const char *usage;        /* "identihook verify --payload FILE --header TEXT [options]" */
    const char *description;  /* what the command does; one or more lines */
    const char *after_help;   /* NULL, or text that follows the options in --help */
    struct argument *options; /* ends with a NULL name */
    char **positional;        /* filled in: into argv, which is put into order */
    size_t positional_count;  /* filled in */
    size_t positional_maximum;
    const char *env_file; /* filled in: --env-file, or NULL */
};

/* 0: go on. 1: --help was given and printed to standard output. -EINVAL: the fault was printed to standard error. */
MUST_CHECK int arguments_parse(struct arguments *arguments, int argc, char **argv);

/* The value of the option `name`, which is in the table; NULL when it was not given. */
const char *arguments_value(const struct arguments *arguments, const char *name);

/*
 * The value as a whole number, or `otherwise` when it was not given. 0, or -EINVAL after the fault was printed with the
 * range.
 */
MUST_CHECK int arguments_number(const struct arguments *arguments, const char *name, int64_t least, int64_t most,
                                int64_t otherwise, int64_t *value);

/* Prints "identihook: …" and a hint at --help to standard error. Returns COMMAND_USAGE. */
int arguments_fault(const struct arguments *arguments, const char *format, ...) PRINTF_LIKE(2, 3);
