#include <signal.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    /* A peer that closes its socket must cost an error code, not the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    return command_run(argc, argv);
}
