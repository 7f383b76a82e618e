#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"

/*
 * Asks the admin listener of the process beside it, as a container's health check does: the image has neither a shell
 * nor curl. Plain blocking calls with a deadline are all that it takes.
 */
#define ANSWER_SIZE 4096

static socklen_t write_address(const struct endpoint *endpoint, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, endpoint->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(endpoint->port);
        if (v4->sin_addr.s_addr == htonl(INADDR_ANY)) {
            v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        }
        return sizeof(*v4);
    }
    (void)inet_pton(AF_INET6, endpoint->host, &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint->port);
    if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
        v6->sin6_addr = in6addr_loopback;
    }
    return sizeof(*v6);
}

/* Connected, with a deadline for each call; -1: errno says why. */
static int open_connection(const struct endpoint *endpoint, int64_t timeout_ms)
{
    struct sockaddr_storage address;
    socklen_t length = write_address(endpoint, &address);
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int connection = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0) {
        return -1;
    }
    if (setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
        connect(connection, (const struct sockaddr *)&address, length) < 0) {
        int fault = errno;
        (void)close(connection);
        errno = fault;
        return -1;
    }
    return connection;
}

/* The whole answer, cut at `size`, with a NUL behind it; -1: errno says why. */
static ssize_t exchange(int connection, const char *path, char *answer, size_t size)
{
    char request[128];
    int length =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n", path);
    if (send(connection, request, (size_t)length, MSG_NOSIGNAL) != length) {
        return -1;
    }
    size_t used = 0;
    while (used < size - 1) {
        ssize_t count = recv(connection, answer + used, size - 1 - used, 0);
        if (count < 0) {
            return -1;
        }
        if (count == 0) {
            break;
        }
        used += (size_t)count;
    }
    answer[used] = '\0';
    return (ssize_t)used;
}

static int ask(const struct endpoint *endpoint, const char *path, int64_t timeout_ms)
{
    char answer[ANSWER_SIZE];
    int connection = open_connection(endpoint, timeout_ms);
    ssize_t length = connection < 0 ? -1 : exchange(connection, path, answer, sizeof(answer));
    int fault = errno;
    if (connection >= 0) {
        (void)close(connection);
    }
    if (length < 0) {
        (void)fprintf(stderr,
                      "identihook: the admin listener at %s:%u does not answer (%s): is identihook running with this "
                      "IDENTIHOOK_ADMIN_LISTEN?\n",
                      endpoint->host, endpoint->port, fault == EAGAIN ? "too slow" : strerror(fault));
        return COMMAND_FAILED;
    }
    const char *body = strstr(answer, "\r\n\r\n");
    printf("%s\n", body ? body + 4 : "");
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

int health_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "ready", .help = "ask whether it can do its work (/readyz) rather than whether it turns (/healthz)"},
        {.name = "timeout", .value_name = "MS", .help = "how long to wait for the answer (2000)"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook health [--ready] [--timeout MS]",
        .description =
            "Asks the identihook that runs with the same IDENTIHOOK_ADMIN_LISTEN how it is: exit status 0 when it is\n"
            "well. For the health checks of containers.",
        .options = options,
    };
    int64_t timeout_ms;
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    if (arguments_number(&arguments, "timeout", 1, 60000, 2000, &timeout_ms) < 0) {
        return COMMAND_USAGE;
    }
    struct settings settings;
    status = configuration_load(&settings, 0, arguments.env_file);
    if (status == 0) {
        status = ask(&settings.admin_listen, arguments_value(&arguments, "ready") ? "/readyz" : "/healthz", timeout_ms);
    }
    settings_free(&settings);
    return status;
}
