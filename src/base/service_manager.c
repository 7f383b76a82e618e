#include "base/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define FIRST_DESCRIPTOR 3 /* SD_LISTEN_FDS_START */
#define MESSAGE_MAXIMUM 512
#define PATIENCE_US 250000 /* with a manager that is behind */

static const char *const socket_names[INHERITED_SOCKETS] = {"webhook", "admin"};

struct service_manager {
    int sockets[INHERITED_SOCKETS];
    uint64_t watchdog_ms;
    int notifier; /* -1: nobody is to be told */
    struct sockaddr_un address;
    socklen_t address_length;
    bool complained;
    bool behind; /* it has not taken the last message */
};

/* ---- variables */

/* Not set is 0. */
static int read_number(const char *name, uint64_t maximum, uint64_t *number)
{
    const char *value = getenv(name);
    *number = 0;
    return value ? text_to_unsigned(text_of(value), maximum, number) : 0;
}

static void forget_variables(void)
{
    static const char *const names[] = {"LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        (void)unsetenv(names[i]);
    }
}

/* ---- sockets */

/* What keeps `descriptor` from being a listener's socket; NULL when nothing does. */
static const char *find_fault(int descriptor)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) {
        return errno == EBADF ? "it is not open" : "it is no socket";
    }
    int type = 0;
    length = sizeof(type);
    (void)getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length);
    if (type != SOCK_STREAM || (address.ss_family != AF_INET && address.ss_family != AF_INET6)) {
        return "it is no TCP socket";
    }
    int listens = 0;
    length = sizeof(listens);
    (void)getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
    return listens ? NULL : "it does not listen";
}

static void keep(int descriptor)
{
    (void)fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

static int take_socket(struct service_manager *manager, size_t which, int descriptor, struct buffer *faults)
{
    const char *name = socket_names[which];
    if (manager->sockets[which] >= 0) {
        buffer_append_format(faults,
                             "two sockets were passed for the %s listener, as descriptors %d and %d, and it takes one: "
                             "ListenStream=[::]:PORT with BindIPv6Only=both is for IPv4, too\n",
                             name, manager->sockets[which], descriptor);
        return SERVICE_MANAGER_FAULTY;
    }
    const char *fault = find_fault(descriptor);
    if (fault) {
        buffer_append_format(faults,
                             "descriptor %d was passed for the %s listener, but %s: its socket unit needs "
                             "ListenStream=ADDRESS:PORT and Accept=no\n",
                             descriptor, name, fault);
        return SERVICE_MANAGER_FAULTY;
    }
    keep(descriptor);
    manager->sockets[which] = descriptor;
    return 0;
}

/* True when nobody chose `name`: it is the unit's own, or that by which sd_listen_fds_with_names(3) calls nameless
 * ones.
 */
static bool is_default_name(struct text name)
{
    struct text suffix = TEXT(".socket");
    return text_equal(name, TEXT("unknown")) ||
           (name.length > suffix.length &&
            memcmp(name.data + name.length - suffix.length, suffix.data, suffix.length) == 0);
}

/* Which listener a socket is for; INHERITED_SOCKETS: its name tells nothing. */
static size_t choose(struct text name, size_t count)
{
    for (size_t which = 0; which < INHERITED_SOCKETS; which++) {
        if (text_equal(name, text_of(socket_names[which]))) {
            return which;
        }
    }
    return count == 1 && is_default_name(name) ? INHERITED_WEBHOOK : INHERITED_SOCKETS;
}

static int take_named(struct service_manager *manager, size_t count, struct text names, struct buffer *faults)
{
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        struct text name = text_cut(&names, ':');
        int descriptor = FIRST_DESCRIPTOR + (int)i;
        size_t which = choose(name, count);
        if (which == INHERITED_SOCKETS) {
            buffer_append_format(faults,
                                 "the socket that was passed as descriptor %d is called '%.*s': put "
                                 "FileDescriptorName=webhook or FileDescriptorName=admin into its socket unit\n",
                                 descriptor, TEXT_ARGUMENTS(name));
            return SERVICE_MANAGER_FAULTY;
        }
        status = take_socket(manager, which, descriptor, faults);
    }
    return status;
}

static int take_nameless(struct service_manager *manager, size_t count, struct buffer *faults)
{
    if (count > INHERITED_SOCKETS) {
        buffer_append_format(faults, "%zu sockets were passed, and there are %d listeners: webhook and admin\n", count,
                             INHERITED_SOCKETS);
        return SERVICE_MANAGER_FAULTY;
    }
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        status = take_socket(manager, i, FIRST_DESCRIPTOR + (int)i, faults);
    }
    return status;
}

static int take_sockets(struct service_manager *manager, struct buffer *faults)
{
    uint64_t pid;
    uint64_t count;
    if (read_number("LISTEN_PID", INT_MAX, &pid) < 0 ||
        read_number("LISTEN_FDS", INT_MAX - FIRST_DESCRIPTOR, &count) < 0) {
        buffer_append_string(faults, "LISTEN_PID and LISTEN_FDS must be numbers: leave them to the service manager\n");
        return SERVICE_MANAGER_FAULTY;
    }
    if (count == 0) {
        return 0;
    }
    if (pid != (uint64_t)getpid()) {
        log_warn("the sockets that were passed are for another process, and this one opens its own: start it with exec",
                 LOG_NUMBER("listen_pid", pid), LOG_NUMBER("sockets", count));
        return 0;
    }
    const char *names = getenv("LISTEN_FDNAMES");
    return names ? take_named(manager, (size_t)count, text_of(names), faults)
                 : take_nameless(manager, (size_t)count, faults);
}

int service_manager_socket(const struct service_manager *manager, enum inherited_socket which)
{
    return manager->sockets[which];
}

void service_manager_drop(struct service_manager *manager, enum inherited_socket which)
{
    if (manager->sockets[which] >= 0) {
        (void)close(manager->sockets[which]);
        manager->sockets[which] = -1;
    }
}

/* ---- notification */

static void complain(struct service_manager *manager, const char *error)
{
    if (!manager->complained) {
        manager->complained = true;
        log_warn("the service manager cannot be told how this process is doing", LOG_STRING("error", error));
    }
}

static void open_notifier(struct service_manager *manager)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t length = name ? strlen(name) : 0;
    if (length == 0) {
        return;
    }
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(manager->address.sun_path)) {
        complain(manager, "NOTIFY_SOCKET is neither a path nor an abstract name");
        return;
    }
    bool is_abstract = name[0] == '@';
    manager->address.sun_family = AF_UNIX;
    memcpy(manager->address.sun_path, name, length);
    if (is_abstract) {
        manager->address.sun_path[0] = '\0';
    }
    /* An abstract name ends where the address ends, a path at its NUL. */
    manager->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
    manager->notifier = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager->notifier < 0) {
        complain(manager, strerror(errno));
        return;
    }
    struct timeval patience = {.tv_usec = PATIENCE_US};
    (void)setsockopt(manager->notifier, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void service_manager_tell(struct service_manager *manager, const char *format, ...)
{
    char message[MESSAGE_MAXIMUM];
    va_list arguments;
    if (manager->notifier < 0) {
        return;
    }
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof(message) ? (size_t)length : sizeof(message) - 1;
    int flags = MSG_NOSIGNAL | (manager->behind ? MSG_DONTWAIT : 0);
    ssize_t sent;
    do {
        sent = sendto(manager->notifier, message, size, flags, (const struct sockaddr *)&manager->address,
                      manager->address_length);
    } while (sent < 0 && errno == EINTR);
    manager->behind = sent < 0;
    if (sent < 0) {
        complain(manager, strerror(errno));
    }
}

static void read_watchdog(struct service_manager *manager)
{
    uint64_t pid;
    uint64_t microseconds;
    if (read_number("WATCHDOG_PID", INT_MAX, &pid) < 0 || read_number("WATCHDOG_USEC", UINT64_MAX, &microseconds) < 0) {
        complain(manager, "WATCHDOG_PID and WATCHDOG_USEC are not numbers");
        return;
    }
    if (microseconds > 0 && manager->notifier >= 0 && (pid == 0 || pid == (uint64_t)getpid())) {
        uint64_t half = microseconds / 2000;
        manager->watchdog_ms = half > 0 ? half : 1;
    }
}

uint64_t service_manager_watchdog_ms(const struct service_manager *manager)
{
    return manager->watchdog_ms;
}

/* ---- all of it */

int service_manager_open(struct service_manager **opened, struct buffer *faults)
{
    struct service_manager *manager = calloc(1, sizeof(*manager));
    *opened = manager;
    if (!manager) {
        return -ENOMEM;
    }
    for (size_t which = 0; which < INHERITED_SOCKETS; which++) {
        manager->sockets[which] = -1;
    }
    manager->notifier = -1;
    int status = take_sockets(manager, faults); /* before a descriptor is opened here, in the place of a missing one */
    open_notifier(manager);
    read_watchdog(manager);
    forget_variables();
    return status;
}

void service_manager_close(struct service_manager *manager)
{
    if (!manager) {
        return;
    }
    for (enum inherited_socket which = 0; which < INHERITED_SOCKETS; which++) {
        service_manager_drop(manager, which);
    }
    if (manager->notifier >= 0) {
        (void)close(manager->notifier);
    }
    free(manager);
}
