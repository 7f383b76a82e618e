/*
 * What a service manager does between fork() and exec().
 *
 *   activate PROGRAM [ARGUMENT…]   says that the sockets and the watchdog are for this process, and becomes PROGRAM
 *   activate --listen              makes descriptor 3 a listening socket, for whoever shares it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char pid[16];
    if (argc == 2 && strcmp(argv[1], "--listen") == 0) {
        return listen(3, 511) < 0;
    }
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (argc < 2 || setenv("LISTEN_PID", pid, 1) < 0 || setenv("WATCHDOG_PID", pid, 1) < 0) {
        return 2;
    }
    (void)execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
