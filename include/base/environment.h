#pragma once

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Where settings come from: the process's environment, and behind it a file of NAME=VALUE lines.
 *
 * The file: one pair a line; blank lines and lines that start with # are passed over; "export " in front, blanks around
 * name and value, and one pair of quotes around the value are dropped; nothing is expanded. A later line wins over an
 * earlier one.
 */
struct environment;

#define ENVIRONMENT_MALFORMED 1

/*
 * Opens it; `env_file` may be NULL. *opened is to be closed in every case; it is NULL only after -ENOMEM.
 *
 * 0; ENVIRONMENT_MALFORMED: `faults` got a line for each line that is no pair (the first ten), and the other lines
 * count; or a negative code when the file cannot be read.
 */
MUST_CHECK int environment_open(const char *env_file, struct environment **opened, struct buffer *faults);

/* Overwrites the file's values. NULL is fine. */
void environment_close(struct environment *environment);

/* The value of `name`, borrowed; NULL when neither has it. The process's environment wins. */
const char *environment_value(const struct environment *environment, const char *name);

/* Calls `visit` with the name of each variable; a name may come twice. */
void environment_each_name(const struct environment *environment, void (*visit)(void *context, struct text name),
                           void *context);

/* Appends the content of the file at `path`, at most 1 MiB. 0 or a negative code (-EFBIG: too large). */
MUST_CHECK int environment_read_file(const char *path, struct buffer *content);

/* The same with standard input, which may be a socket: those have no path that could be opened. */
MUST_CHECK int environment_read_input(struct buffer *content);
