/*
 * notify_socket PATH: a service manager's ear. Binds a datagram socket there and prints what it is told, each datagram
 * followed by an empty line; the first one, which it prints itself when it is ready, is BOUND=1.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char message[4096];
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
        return 2;
    }
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    if (bind(receiver, (struct sockaddr *)&address, sizeof(address)) < 0) {
        perror(argv[1]);
        return 1;
    }
    (void)fputs("BOUND=1\n\n", stderr);
    for (ssize_t length = 0; length >= 0; length = recv(receiver, message, sizeof(message), 0)) {
        if (length > 0) {
            (void)fprintf(stderr, "%.*s\n\n", (int)length, message);
        }
    }
    return 1;
}
