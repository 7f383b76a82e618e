/*
 * hold_threads PID: stops every thread of a process but its first one, says so, and lets them go when it is ended. Exit
 * status 77: it may not do that here.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int hold(int thread)
{
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0) {
        int error = errno;
        perror("ptrace");
        return error == EPERM || error == ENOSYS ? 77 : 1;
    }
    if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 || waitpid(thread, NULL, __WALL) < 0) {
        perror("ptrace");
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char path[64];
    if (argc != 2) {
        return 2;
    }
    (void)snprintf(path, sizeof(path), "/proc/%s/task", argv[1]);
    DIR *threads = opendir(path);
    if (!threads) {
        perror(path);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(threads));) {
        int thread = atoi(entry->d_name);
        int status = thread == 0 || thread == atoi(argv[1]) ? 0 : hold(thread);
        if (status != 0) {
            return status;
        }
    }
    (void)closedir(threads);
    (void)fputs("held\n", stderr);
    for (;;) {
        (void)pause();
    }
}
