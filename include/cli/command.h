#pragma once

/*
 * The command line: identihook COMMAND [options].
 *
 * Results go to standard output, messages for people to standard error.
 */
enum command_exit {
    COMMAND_DONE = 0,
    COMMAND_FAILED = 1, /* the operation failed */
    COMMAND_USAGE = 2,  /* wrong usage or configuration */
};

struct command {
    const char *name;
    const char *arguments;             /* as the usage line shows them */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an enum command_exit */
};

/* The table of all commands, in the order in which help shows them; ends with a NULL name. */
extern const struct command command_table[];

/* Finds the command that argv names and runs it; returns the process's exit status. */
int command_run(int argc, char **argv);

/* One per file of src/cli. */
int serve_run(int argc, char **argv);
int trigger_run(int argc, char **argv);
int status_run(int argc, char **argv);
int explain_run(int argc, char **argv);
int doctor_run(int argc, char **argv);
int dead_run(int argc, char **argv);
int pause_run(int argc, char **argv);
int resume_run(int argc, char **argv);
int reconcile_run(int argc, char **argv);
int preview_run(int argc, char **argv);
int verify_run(int argc, char **argv);
int health_run(int argc, char **argv);
int migrate_run(int argc, char **argv);
int redact_run(int argc, char **argv);
int version_run(int argc, char **argv);
