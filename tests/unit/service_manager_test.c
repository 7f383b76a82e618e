#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/service_manager.h"

#define FIRST 3
#define MOST 4

/* ---- sockets */

enum passed { NOTHING, LISTENER, LISTENER_V6, UNIX_LISTENER, IDLE, DATAGRAM, A_FILE };

static int make(enum passed kind)
{
    struct sockaddr_un nameless = {.sun_family = AF_UNIX};
    int family = kind == UNIX_LISTENER ? AF_UNIX : kind == LISTENER_V6 ? AF_INET6 : AF_INET;
    int made =
        kind == A_FILE ? open("/dev/null", O_RDONLY) : socket(family, kind == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, 0);
    ck_assert_int_ge(made, 0);
    if (kind == UNIX_LISTENER) {
        ck_assert_int_eq(bind(made, (struct sockaddr *)&nameless, sizeof(nameless.sun_family)), 0);
    }
    if (kind == LISTENER || kind == LISTENER_V6 || kind == UNIX_LISTENER) {
        ck_assert_int_eq(listen(made, 1), 0);
    }
    return made;
}

struct taken {
    int status;
    int sockets[INHERITED_SOCKETS];
    int flags[INHERITED_SOCKETS]; /* of the descriptor, and of what it refers to */
    int modes[INHERITED_SOCKETS];
    struct buffer faults;
};

/* Puts what is passed at descriptors 3 to 6, opens, and puts back what Check has there. Asserts nothing meanwhile. */
static struct taken take(const enum passed passed[MOST])
{
    struct taken taken = {0};
    int made[MOST];
    int saved[MOST];
    struct service_manager *manager;
    for (size_t i = 0; i < MOST; i++) {
        made[i] = passed[i] == NOTHING ? -1 : fcntl(make(passed[i]), F_DUPFD, 100);
        saved[i] = fcntl(FIRST + (int)i, F_DUPFD, 100);
    }
    for (size_t i = 0; i < MOST; i++) {
        (void)close(FIRST + (int)i);
        if (made[i] >= 0) {
            (void)dup2(made[i], FIRST + (int)i);
        }
    }
    taken.status = service_manager_open(&manager, &taken.faults);
    for (size_t i = 0; i < INHERITED_SOCKETS; i++) {
        taken.sockets[i] = service_manager_socket(manager, i);
        taken.flags[i] = fcntl(taken.sockets[i], F_GETFD);
        taken.modes[i] = fcntl(taken.sockets[i], F_GETFL);
    }
    service_manager_close(manager);
    for (size_t i = 0; i < MOST; i++) {
        if (saved[i] >= 0) {
            (void)dup2(saved[i], FIRST + (int)i);
        }
    }
    return taken;
}

static void pass(const char *count, const char *names)
{
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", count, 1);
    if (names) {
        (void)setenv("LISTEN_FDNAMES", names, 1);
    }
}

static const struct {
    const char *count;
    const char *names;
    enum passed passed[MOST];
    int webhook;
    int admin;
} good[] = {
    {"0", NULL, {NOTHING}, -1, -1},
    {"1", NULL, {LISTENER}, 3, -1},
    {"2", NULL, {LISTENER, LISTENER_V6}, 3, 4},
    {"1", "webhook", {LISTENER_V6}, 3, -1},
    {"1", "admin", {LISTENER}, -1, 3},
    {"2", "webhook:admin", {LISTENER, LISTENER}, 3, 4},
    {"2", "admin:webhook", {LISTENER, LISTENER}, 4, 3},
    {"1", "identihook.socket", {LISTENER}, 3, -1},
    {"1", "unknown", {LISTENER}, 3, -1},
};

START_TEST(names_choose_the_listener_and_without_them_the_order_does)
{
    pass(good[_i].count, good[_i].names);
    struct taken taken = take(good[_i].passed);
    ck_assert_msg(taken.status == 0, "%s", taken.faults.data);
    ck_assert_int_eq(taken.sockets[INHERITED_WEBHOOK], good[_i].webhook);
    ck_assert_int_eq(taken.sockets[INHERITED_ADMIN], good[_i].admin);
    for (size_t i = 0; i < INHERITED_SOCKETS; i++) {
        if (taken.sockets[i] >= 0) {
            ck_assert_int_eq(taken.flags[i] & FD_CLOEXEC, FD_CLOEXEC);
            ck_assert_int_eq(taken.modes[i] & O_NONBLOCK, O_NONBLOCK);
        }
    }
    buffer_free(&taken.faults);
}
END_TEST

static const struct {
    const char *count;
    const char *names;
    enum passed passed[MOST];
    const char *fault;
} bad[] = {
    {"two", NULL, {NOTHING}, "LISTEN_FDS must be numbers"},
    {"-1", NULL, {NOTHING}, "LISTEN_FDS must be numbers"},
    {"99999999999", NULL, {NOTHING}, "LISTEN_FDS must be numbers"},
    {"1", NULL, {NOTHING}, "descriptor 3 was passed for the webhook listener, but it is not open"},
    {"1", "admin", {A_FILE}, "descriptor 3 was passed for the admin listener, but it is no socket"},
    {"1", NULL, {IDLE}, "but it does not listen: its socket unit needs ListenStream=ADDRESS:PORT and Accept=no"},
    {"1", NULL, {DATAGRAM}, "but it is no TCP socket"},
    {"1", NULL, {UNIX_LISTENER}, "but it is no TCP socket"},
    {"2", NULL, {LISTENER, IDLE}, "descriptor 4 was passed for the admin listener, but it does not listen"},
    {"3", NULL, {LISTENER, LISTENER, LISTENER}, "3 sockets were passed, and there are 2 listeners"},
    {"2147483644", NULL, {LISTENER}, "2147483644 sockets were passed"},
    {"2147483644", "webhook", {LISTENER, NOTHING}, "descriptor 4 is called ''"},
    {"1", "metrics", {LISTENER}, "descriptor 3 is called 'metrics': put FileDescriptorName=webhook"},
    {"1", "", {LISTENER}, "descriptor 3 is called ''"},
    {"1", ".socket", {LISTENER}, "descriptor 3 is called '.socket'"},
    {"2", "one.socket:two.socket", {LISTENER, LISTENER}, "descriptor 3 is called 'one.socket'"},
    {"2", "webhook:two.socket", {LISTENER, LISTENER}, "descriptor 4 is called 'two.socket'"},
    {"2", "webhook", {LISTENER, LISTENER}, "descriptor 4 is called ''"},
    {"2", "webhook:webhook", {LISTENER, LISTENER}, "two sockets were passed for the webhook listener"},
};

START_TEST(what_no_listener_can_use_is_refused_with_what_to_do)
{
    pass(bad[_i].count, bad[_i].names);
    struct taken taken = take(bad[_i].passed);
    ck_assert_int_eq(taken.status, SERVICE_MANAGER_FAULTY);
    ck_assert_msg(strstr(taken.faults.data, bad[_i].fault) != NULL, "%s", taken.faults.data);
    ck_assert_int_eq(taken.faults.data[taken.faults.length - 1], '\n');
    buffer_free(&taken.faults);
}
END_TEST

START_TEST(what_is_meant_for_another_process_is_left_alone)
{
    static const enum passed passed[MOST] = {LISTENER};
    pass("1", "webhook");
    if (_i == 0) {
        (void)setenv("LISTEN_PID", "1", 1);
    } else {
        (void)unsetenv("LISTEN_PID");
    }
    struct taken taken = take(passed);
    ck_assert_int_eq(taken.status, 0);
    ck_assert_int_eq(taken.sockets[INHERITED_WEBHOOK], -1);
}
END_TEST

static const char *const variables[] = {"LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

START_TEST(no_child_finds_the_variables)
{
    struct buffer faults = {0};
    struct service_manager *manager;
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
        (void)setenv(variables[i], _i == 0 ? "1" : "faulty", 1);
    }
    (void)!service_manager_open(&manager, &faults);
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
        ck_assert_ptr_null(getenv(variables[i]));
    }
    service_manager_close(manager);
    buffer_free(&faults);
}
END_TEST

/* ---- notification */

/* Binds a datagram socket at a name of NOTIFY_SOCKET, and sets that. */
static int receive_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    address.sun_path[0] = name[0] == '@' ? '\0' : name[0];
    ck_assert_int_eq(
        bind(receiver, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)), 0);
    (void)setenv("NOTIFY_SOCKET", name, 1);
    return receiver;
}

static struct service_manager *meet(void)
{
    struct service_manager *manager;
    struct buffer faults = {0};
    ck_assert_int_eq(service_manager_open(&manager, &faults), 0);
    return manager;
}

START_TEST(it_is_told_at_a_path_and_at_an_abstract_name)
{
    char name[64];
    char message[600];
    (void)snprintf(name, sizeof(name), "%sidentihook-notify-%d", _i == 0 ? "/tmp/" : "@", (int)getpid());
    int receiver = receive_at(name);
    struct service_manager *manager = meet();
    service_manager_tell(manager, "READY=1\nSTATUS=%s %d", "number", 7);
    ssize_t length = recv(receiver, message, sizeof(message), MSG_DONTWAIT);
    ck_assert_text_eq(((struct text){message, length < 0 ? 0 : (size_t)length}), "READY=1\nSTATUS=number 7");
    service_manager_tell(manager, "STATUS=%0600d", 1);
    ck_assert_int_eq(recv(receiver, message, sizeof(message), MSG_DONTWAIT), 511);
    service_manager_close(manager);
    (void)close(receiver);
    if (_i == 0) {
        (void)unlink(name);
    }
}
END_TEST

/* What standard error got while `act` ran. */
static const char *logged(void (*act)(struct service_manager *manager), struct service_manager *manager)
{
    static char lines[8192];
    int ends[2];
    int saved = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe(ends), 0);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    (void)dup2(ends[1], STDERR_FILENO);
    act(manager);
    (void)dup2(saved, STDERR_FILENO);
    ssize_t length = read(ends[0], lines, sizeof(lines) - 1);
    lines[length < 0 ? 0 : length] = '\0';
    return lines;
}

static size_t count_lines(const char *lines)
{
    size_t count = 0;
    for (const char *at = lines; (at = strchr(at, '\n')); at++) {
        count++;
    }
    return count;
}

static void tell_often(struct service_manager *manager)
{
    for (size_t i = 0; i < 10000; i++) {
        service_manager_tell(manager, "WATCHDOG=1");
    }
}

START_TEST(a_manager_that_does_not_listen_costs_one_line_and_no_time)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "@identihook-notify-%d", (int)getpid());
    int receiver = receive_at(name);
    struct service_manager *manager = meet();
    if (_i == 0) {
        (void)close(receiver); /* else its queue runs full */
    }
    const char *lines = logged(tell_often, manager);
    ck_assert_msg(count_lines(lines) == 1 && strstr(lines, "the service manager cannot be told"), "%s", lines);
    service_manager_close(manager);
}
END_TEST

/* Takes messages after a moment, until READY=1 comes. */
static void *take_late(void *argument)
{
    const int *receiver = argument;
    char message[600] = "";
    (void)usleep(5000);
    while (!strstr(message, "READY=1")) {
        ssize_t length = recv(*receiver, message, sizeof(message) - 1, 0);
        message[length < 0 ? 0 : length] = '\0';
    }
    return NULL;
}

START_TEST(a_manager_that_is_behind_is_told_all_the_same)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "@identihook-notify-%d", (int)getpid());
    int receiver = receive_at(name);
    struct timeval patience = {.tv_sec = 5};
    pthread_t thread;
    struct service_manager *manager = meet();
    (void)logged(tell_often, manager); /* its queue is full */
    char message[600];
    ck_assert_int_gt(recv(receiver, message, sizeof(message), MSG_DONTWAIT), 0);
    service_manager_tell(manager, "STATUS=it takes messages, and is full again");
    ck_assert_int_eq(setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_late, &receiver), 0);
    service_manager_tell(manager, "READY=1");
    ck_assert_int_eq(pthread_join(thread, NULL), 0); /* else the test runs out of time */
    service_manager_close(manager);
    (void)close(receiver);
}
END_TEST

#define NAMELESS 0 /* the same as none at all */
static const char *const unusable[] = {[NAMELESS] = "", "relative", "vsock:2:1234", "@", "/"};

static void open_and_tell(struct service_manager *unused)
{
    struct service_manager *manager;
    struct buffer faults = {0};
    (void)unused;
    if (service_manager_open(&manager, &faults) == 0) {
        service_manager_tell(manager, "READY=1");
        service_manager_tell(manager, "READY=1");
    }
    service_manager_close(manager);
}

START_TEST(an_address_that_is_none_costs_one_line_at_most)
{
    char name[300];
    memset(name, 'x', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    (void)setenv("NOTIFY_SOCKET", (size_t)_i < ARRAY_LENGTH(unusable) ? unusable[_i] : name, 1);
    const char *lines = logged(open_and_tell, NULL);
    ck_assert_uint_eq(count_lines(lines), _i == NAMELESS ? 0 : 1);
}
END_TEST

static const struct {
    const char *microseconds;
    const char *pid; /* "": ours; NULL: not set */
    const char *socket;
    uint64_t interval_ms;
} watchdogs[] = {
    {"30000000", NULL, "@n", 15000},
    {"30000000", "", "@n", 15000},
    {"30000000", "1", "@n", 0},
    {"30000000", NULL, NULL, 0},
    {"1", NULL, "@n", 1},
    {"18446744073709551615", NULL, "@n", UINT64_C(9223372036854775)},
    {"0", NULL, "@n", 0},
    {NULL, NULL, "@n", 0},
    {"30s", NULL, "@n", 0},
    {"30000000", "me", "@n", 0},
};

START_TEST(signs_of_life_are_wanted_in_half_of_the_time)
{
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (watchdogs[_i].microseconds) {
        (void)setenv("WATCHDOG_USEC", watchdogs[_i].microseconds, 1);
    }
    if (watchdogs[_i].pid) {
        (void)setenv("WATCHDOG_PID", watchdogs[_i].pid[0] ? watchdogs[_i].pid : pid, 1);
    }
    if (watchdogs[_i].socket) {
        (void)setenv("NOTIFY_SOCKET", watchdogs[_i].socket, 1);
    }
    struct service_manager *manager = meet();
    ck_assert_uint_eq(service_manager_watchdog_ms(manager), watchdogs[_i].interval_ms);
    service_manager_close(manager);
}
END_TEST

static void fill(TCase *tests)
{
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
        (void)unsetenv(variables[i]);
    }
    tcase_add_loop_test(tests, names_choose_the_listener_and_without_them_the_order_does, 0, (int)ARRAY_LENGTH(good));
    tcase_add_loop_test(tests, what_no_listener_can_use_is_refused_with_what_to_do, 0, (int)ARRAY_LENGTH(bad));
    tcase_add_loop_test(tests, what_is_meant_for_another_process_is_left_alone, 0, 2);
    tcase_add_loop_test(tests, no_child_finds_the_variables, 0, 2);
    tcase_add_loop_test(tests, it_is_told_at_a_path_and_at_an_abstract_name, 0, 2);
    tcase_add_loop_test(tests, a_manager_that_does_not_listen_costs_one_line_and_no_time, 0, 2);
    tcase_add_test(tests, a_manager_that_is_behind_is_told_all_the_same);
    tcase_add_loop_test(tests, an_address_that_is_none_costs_one_line_at_most, 0, (int)ARRAY_LENGTH(unusable) + 1);
    tcase_add_loop_test(tests, signs_of_life_are_wanted_in_half_of_the_time, 0, (int)ARRAY_LENGTH(watchdogs));
}

int main(void)
{
    return unit_run("service_manager", fill);
}
