#pragma once

#include <stdbool.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "cli/arguments.h"
#include "store/search.h"

/* The verbs of the dead command, and the choice of letters that they share. */
int dead_list_run(int argc, char **argv);
int dead_show_run(int argc, char **argv);
int dead_replay_run(int argc, char **argv);
int dead_discard_run(int argc, char **argv);

#define DEAD_OPTIONS_MAXIMUM 16

/* Fills `table`, of DEAD_OPTIONS_MAXIMUM, with a verb's own options, which end with a NULL name, and those of the
 * choice. */
void dead_options(struct argument *table, const struct argument *own);

/* Which dead letters, as a search. */
struct dead_choice {
    struct search_query query; /* oldest first; points into this struct and into the arguments */
    bool filtered;             /* something was asked for: it is not all of them */
    char from[40];
    char to[40];
    char type[128];
};

/* Whether it can be a letter's id ("1793268500123-0") or an event's. */
bool dead_is_id(const char *id);

/* The search for the letters with this id, which outlives the search. */
void dead_query_of(const char *id, struct search_query *query);

/* Appends the letter as a JSON object without its end, '}', and without its payload. */
void dead_write_json(struct buffer *out, const struct record *record);

/* Reads the options of the choice. `reason` (NULL: any) is a verb's own way to name the reason. 0, or COMMAND_USAGE:
 * told. `choice` stays where it is. */
MUST_CHECK int dead_choose(struct dead_choice *choice, const struct arguments *arguments, const char *reason);
