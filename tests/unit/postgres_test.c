#include "unit.h"

#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "net/postgres.h"
#include "net/postgres_library.h"
#include "script_server.h"

/*
 * The pool against a real PostgreSQL of its own, on a unix socket, and against servers that misbehave. One loop, turned
 * until what is awaited has come.
 */

static char directory[] = "/tmp/identihook-pg-XXXXXX";
static struct postgres *pool;

/* ---- the server: one for all tests, which run in processes of their own */

/* Its programs find each other by the path that they are called by: it takes the first word's place. */
static pid_t run_as_postgres(const char *program, const char **words)
{
    glob_t found;
    char pattern[128];
    (void)snprintf(pattern, sizeof(pattern), "/usr/lib/postgresql/*/bin/%s", program);
    if (glob(pattern, 0, NULL, &found) != 0) {
        (void)fprintf(stderr, "PostgreSQL is not there\n");
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        const struct passwd *user = getpwnam("postgres");
        if (getuid() == 0 && (!user || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)) {
            _exit(126);
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGINT); /* it does not outlive us */
        (void)freopen("/dev/null", "w", stdout);
        (void)freopen("/dev/null", "w", stderr);
        words[0] = found.gl_pathv[found.gl_pathc - 1];
        (void)execv(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    globfree(&found);
    return child;
}

static pid_t start_server(void)
{
    static char data[64];
    const struct passwd *user = getpwnam("postgres");
    if (!mkdtemp(directory) || (getuid() == 0 && user && chown(directory, user->pw_uid, user->pw_gid) < 0)) {
        return -1;
    }
    (void)snprintf(data, sizeof(data), "%s/data", directory);
    const char *initdb[] = {"initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", NULL};
    const char *postgres[] = {"postgres", "-D", data, "-k", directory, "-c", "listen_addresses=", NULL};
    int status = 0;
    pid_t child = run_as_postgres("initdb", initdb);
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) {
        return -1;
    }
    return run_as_postgres("postgres", postgres);
}

static void wait_for_server(void)
{
    const char *words[] = {"pg_isready", "-q", "-h", directory, NULL};
    int status = 1;
    for (int i = 0; i < 500 && status != 0; i++) {
        pid_t child = run_as_postgres("pg_isready", words);
        if (child < 0 || waitpid(child, &status, 0) < 0) {
            return;
        }
        (void)usleep(10000); /* a server that starts cannot be awaited in another way */
    }
}

static void stop_server(pid_t server)
{
    char command[96];
    (void)kill(server, SIGINT);
    (void)waitpid(server, NULL, 0);
    (void)snprintf(command, sizeof(command), "rm -rf %s", directory);
    (void)!system(command);
}

static int open_pool(const char *url, const struct postgres_options *wanted, struct postgres **opened)
{
    struct secret secret = {0};
    struct postgres_options options = *wanted;
    ck_assert_int_eq(secret_set(&secret, text_of(url)), 0);
    options.url = &secret;
    options.connect_timeout_ms = options.connect_timeout_ms > 0 ? options.connect_timeout_ms : 10000;
    options.statement_timeout_ms = options.statement_timeout_ms > 0 ? options.statement_timeout_ms : 60000;
    options.waiting = options.waiting > 0 ? options.waiting : 100;
    int status = postgres_open(&loop, &options, opened);
    secret_clear(&secret);
    return status;
}

/* Of `connections` to the real server. */
static void open_real(size_t connections)
{
    char url[128];
    struct postgres_options options = {.connections = connections};
    (void)snprintf(url, sizeof(url), "postgresql://postgres@/postgres?host=%s", directory);
    ck_assert_int_eq(open_pool(url, &options, &pool), 0);
}

static void close_pool(void)
{
    CLOSE(postgres_close, pool);
    loop_close();
}

static void set_up(void)
{
    struct buffer fault = {0};
    ck_assert_int_eq(postgres_library_open(&fault), 0);
    loop_open();
}

/* ---- calls */

struct asking {
    struct postgres_call call;
    int answers;
    enum postgres_outcome outcome;
    char sqlstate[6];
    char error[300];
    uint64_t retry_after_ms;
    char value[64];
};

static int order[32]; /* which calls were answered, in their order */
static int answered;

static void on_answer(struct postgres_call *call, const struct postgres_result *result)
{
    struct asking *asking = CONTAINER_OF(call, struct asking, call);
    const char *value = postgres_value(result, 0, 0);
    asking->answers++;
    asking->outcome = result->outcome;
    asking->retry_after_ms = result->retry_after_ms;
    (void)snprintf(asking->sqlstate, sizeof(asking->sqlstate), "%s", result->sqlstate);
    (void)snprintf(asking->error, sizeof(asking->error), "%s", result->error);
    (void)snprintf(asking->value, sizeof(asking->value), "%s", value ? value : "NULL");
    order[answered++ % (int)ARRAY_LENGTH(order)] = (int)(value ? strtol(value, NULL, 10) : -1);
}

static void ask(struct asking *asking, const struct postgres_statement *statement, const char *const *values,
                size_t count)
{
    *asking = (struct asking){
        .call = {.statement = statement, .values = values, .value_count = count, .callback = on_answer}};
    ck_assert_int_eq(postgres_start(pool, &asking->call), 0);
    ck_assert_int_eq(asking->answers, 0);
}

static void get(struct asking *asking, const struct postgres_statement *statement, const char *const *values,
                size_t count)
{
    ask(asking, statement, values, count);
    TURN_UNTIL(asking->answers);
}

static const struct postgres_statement add = {.name = "add", .sql = "SELECT $1::int + 1"};
static const struct postgres_statement sleep_long = {.name = "sleep", .sql = "SELECT pg_sleep(60)"};
static const struct postgres_statement sleepers = {
    .name = "sleepers",
    .sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active'"
           " AND pid <> pg_backend_pid()"};
static const struct postgres_statement own_id = {.name = "own_id", .sql = "SELECT pg_backend_pid()"};

/* How many statements sleep at the server. */
static long count_sleepers(void)
{
    struct asking asking;
    get(&asking, &sleepers, NULL, 0);
    ck_assert_int_eq(asking.outcome, POSTGRES_DONE);
    return strtol(asking.value, NULL, 10);
}

START_TEST(a_statement_is_prepared_once_and_run_as_often_as_wanted)
{
    const char *values[] = {"41"};
    struct asking asking;
    open_real(1);
    for (int i = 0; i < 3; i++) {
        get(&asking, &add, values, 1);
        ck_assert_str_eq(asking.value, "42");
    }
    values[0] = NULL;
    get(&asking, &add, values, 1);
    ck_assert_int_eq(asking.outcome, POSTGRES_DONE);
    ck_assert_str_eq(asking.value, "NULL");
    close_pool();
}
END_TEST

START_TEST(more_calls_than_connections_wait_and_keep_their_order)
{
    static const char *const numbers[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct asking asking[10];
    open_real(1);
    for (size_t i = 0; i < 10; i++) {
        ask(&asking[i], &add, &numbers[i], 1);
    }
    TURN_UNTIL(answered == 10);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(order[i], i + 1);
    }
    close_pool();
}
END_TEST

START_TEST(too_many_waiting_calls_are_refused_at_once)
{
    char url[128];
    struct asking first, second, third;
    struct postgres_options options = {.connections = 1, .waiting = 2};
    const char *values[] = {"1"};
    (void)snprintf(url, sizeof(url), "postgresql://postgres@/postgres?host=%s", directory);
    ck_assert_int_eq(open_pool(url, &options, &pool), 0);
    ask(&first, &add, values, 1);
    ask(&second, &add, values, 1);
    third = (struct asking){.call = first.call};
    ck_assert_int_eq(postgres_start(pool, &third.call), -ENOBUFS);
    TURN_UNTIL(first.answers && second.answers);
    close_pool();
}
END_TEST

START_TEST(an_abandoned_call_is_silent_and_canceled_at_the_server)
{
    const char *values[] = {"1"};
    struct asking running, waiting, other;
    open_real(1);
    ask(&running, &sleep_long, NULL, 0);
    TURN_UNTIL(running.call.connection);
    ask(&waiting, &add, values, 1);
    ask(&other, &add, values, 1);
    postgres_abandon(pool, &waiting.call);
    /* Its statement is to have reached the server; the pool's one connection cannot tell. */
    struct postgres *abandoning = pool;
    open_real(1);
    for (long count = 0; count == 0;) {
        count = count_sleepers();
    }
    postgres_abandon(abandoning, &running.call);
    TURN_UNTIL(other.answers);
    ck_assert_int_eq(other.outcome, POSTGRES_DONE);
    for (long count = 1; count > 0;) {
        count = count_sleepers();
    }
    ck_assert_int_eq(running.answers + waiting.answers, 0);
    CLOSE(postgres_close, abandoning);
    close_pool();
}
END_TEST

START_TEST(closing_reports_what_runs_and_what_waits)
{
    const char *values[] = {"1"};
    struct asking running, waiting;
    open_real(1);
    ask(&running, &sleep_long, NULL, 0);
    TURN_UNTIL(running.call.connection);
    ask(&waiting, &add, values, 1);
    close_pool();
    ck_assert_int_eq(running.answers, 1);
    ck_assert_int_eq(running.outcome, POSTGRES_UNKNOWN);
    ck_assert_int_eq(waiting.answers, 1);
    ck_assert_int_eq(waiting.outcome, POSTGRES_UNREACHABLE);
}
END_TEST

START_TEST(an_error_is_told_by_its_sqlstate_without_the_value)
{
    static const struct postgres_statement parse = {.name = "parse", .sql = "SELECT $1::int"};
    const char *values[] = {"Canary"};
    struct asking asking;
    open_real(1);
    get(&asking, &parse, values, 1);
    ck_assert_int_eq(asking.outcome, POSTGRES_REFUSED);
    ck_assert_str_eq(asking.sqlstate, "22P02");
    ck_assert_ptr_null(strstr(asking.error, "Canary"));
    close_pool();
}
END_TEST

START_TEST(a_connection_left_inside_a_transaction_is_not_used_again)
{
    static const struct postgres_statement broken = {.sql = "BEGIN; CREATE TEMP TABLE t (i int); SELECT 1/0; COMMIT"};
    struct asking first, second, third;
    open_real(1);
    ask(&first, &own_id, NULL, 0);
    TURN_UNTIL(first.answers);
    ask(&second, &broken, NULL, 0);
    TURN_UNTIL(second.answers);
    ck_assert_str_eq(second.sqlstate, "22012");
    ask(&third, &own_id, NULL, 0);
    TURN_UNTIL(third.answers);
    ck_assert_int_eq(third.outcome, POSTGRES_DONE);
    ck_assert_str_ne(first.value, third.value);
    close_pool();
}
END_TEST

START_TEST(a_server_that_has_lost_the_prepared_statements_is_left)
{
    static const struct postgres_statement forget = {.sql = "DEALLOCATE ALL"};
    const char *values[] = {"1"};
    struct asking asking;
    open_real(1);
    get(&asking, &add, values, 1);
    get(&asking, &forget, NULL, 0); /* as a pooler does that gives each transaction another connection */
    get(&asking, &add, values, 1);
    ck_assert_str_eq(asking.sqlstate, "26000");
    get(&asking, &add, values, 1);
    ck_assert_int_eq(asking.outcome, POSTGRES_DONE);
    close_pool();
}
END_TEST

START_TEST(a_server_that_falls_silent_leaves_the_outcome_unknown)
{
    char url[128];
    struct asking asking;
    struct postgres_options options = {.connections = 1, .statement_timeout_ms = 100};
    (void)snprintf(url, sizeof(url), "postgresql://postgres@/postgres?host=%s", directory);
    ck_assert_int_eq(open_pool(url, &options, &pool), 0);
    get(&asking, &own_id, NULL, 0);
    pid_t backend = (pid_t)strtol(asking.value, NULL, 10);
    ck_assert_int_eq(kill(backend, SIGSTOP), 0);
    get(&asking, &own_id, NULL, 0);
    (void)kill(backend, SIGCONT);
    ck_assert_int_eq(asking.outcome, POSTGRES_UNKNOWN);
    get(&asking, &own_id, NULL, 0);
    ck_assert_int_eq(asking.outcome, POSTGRES_DONE);
    close_pool();
}
END_TEST

START_TEST(a_connection_that_the_server_ends_is_replaced)
{
    struct asking asking;
    open_real(1);
    get(&asking, &own_id, NULL, 0);
    pid_t backend = (pid_t)strtol(asking.value, NULL, 10);
    ask(&asking, &sleep_long, NULL, 0);
    TURN_UNTIL(asking.call.connection);
    ck_assert_int_eq(kill(backend, SIGTERM), 0);
    TURN_UNTIL(asking.answers);
    ck_assert_int_ne(asking.outcome, POSTGRES_DONE); /* which other one depends on how far it was */
    get(&asking, &own_id, NULL, 0);
    ck_assert_int_eq(asking.outcome, POSTGRES_DONE);
    close_pool();
}
END_TEST

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    (void)uv_poll_stop(poll);
    ask(poll->data, &add, (const char *[]){"1"}, 1);
}

/* The loop hears of its end in the same turn, but behind what starts the call. */
START_TEST(a_call_on_a_connection_that_is_just_found_broken_is_not_taken_for_done)
{
    struct asking asking;
    uv_poll_t poll = {.data = &asking};
    int ends[2];
    open_real(1);
    get(&asking, &add, (const char *[]){"1"}, 1); /* prepared: now it is sent right away */
    get(&asking, &own_id, NULL, 0);
    pid_t backend = (pid_t)strtol(asking.value, NULL, 10);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(uv_poll_init(&loop, &poll, ends[0]), 0);
    ck_assert_int_eq(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT); /* both are polled now */
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(kill(backend, SIGKILL), 0);
    while (kill(backend, 0) == 0) {
        (void)usleep(1000); /* another process's child cannot be awaited in another way */
    }
    asking.answers = 0;
    TURN_UNTIL(asking.answers);
    ck_assert_int_eq(asking.outcome, POSTGRES_UNKNOWN);
    uv_close((uv_handle_t *)&poll, NULL);
    close_pool();
    (void)close(ends[0]);
    (void)close(ends[1]);
    wait_for_server(); /* which starts itself again */
}
END_TEST

START_TEST(without_a_server_a_call_is_told_at_once)
{
    struct postgres_options options = {.connections = 1};
    struct asking asking;
    ck_assert_int_eq(open_pool("postgresql://u@/x?host=/nowhere", &options, &pool), 0);
    for (int i = 0; i < 3; i++) {
        get(&asking, &own_id, NULL, 0);
        ck_assert_int_eq(asking.outcome, POSTGRES_UNREACHABLE);
    }
    close_pool();
}
END_TEST

/* ---- servers that are none */

static void say_nothing(struct script_peer *peer, void *context)
{
    (void)context;
    script_wait_for_end(peer);
}

static void talk_nonsense(struct script_peer *peer, void *context)
{
    (void)context;
    script_say(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void open_scripted(const struct script_server *server, const char *host)
{
    char url[160];
    struct postgres_options options = {.connections = 2, .connect_timeout_ms = 200};
    (void)snprintf(url, sizeof(url), "postgresql://user:Canary@%s:%d/db?sslmode=disable", host,
                   script_server_port(server));
    ck_assert_int_eq(open_pool(url, &options, &pool), 0);
}

START_TEST(a_silent_server_is_given_up_in_time_and_not_asked_again_at_once)
{
    struct script_server *server = script_server_start(say_nothing, NULL, NULL, false);
    struct asking first, second;
    open_scripted(server, "localhost");
    ask(&first, &own_id, NULL, 0);
    TURN_UNTIL(first.answers);
    ck_assert_int_eq(first.outcome, POSTGRES_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(first.error, "did not answer in time"));
    int connections = script_server_connections(server);
    ask(&second, &own_id, NULL, 0);
    TURN_UNTIL(second.answers);
    ck_assert_int_eq(second.outcome, POSTGRES_UNREACHABLE);
    ck_assert_uint_gt(second.retry_after_ms, 0);
    ck_assert_int_eq(script_server_connections(server), connections);
    close_pool();
    script_server_stop(server);
}
END_TEST

START_TEST(a_server_of_another_kind_is_told_and_the_password_is_not)
{
    struct script_server *server = script_server_start(talk_nonsense, NULL, NULL, false);
    struct asking asking;
    open_scripted(server, "127.0.0.1");
    get(&asking, &own_id, NULL, 0);
    ck_assert_int_eq(asking.outcome, POSTGRES_UNREACHABLE);
    ck_assert_ptr_null(strstr(asking.error, "Canary"));
    close_pool();
    script_server_stop(server);
}
END_TEST

START_TEST(what_is_no_url_is_refused)
{
    static const char *const urls[] = {"postgresql://u:p%zz@h/db", "postgresql://[::1/db",
                                       "postgresql://h/db?nonsense=1"};
    struct postgres_options options = {.connections = 1};
    struct postgres *none = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        ck_assert_int_eq(open_pool(urls[i], &options, &none), -EINVAL);
    }
    loop_close();
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, a_statement_is_prepared_once_and_run_as_often_as_wanted);
    tcase_add_test(tests, more_calls_than_connections_wait_and_keep_their_order);
    tcase_add_test(tests, too_many_waiting_calls_are_refused_at_once);
    tcase_add_test(tests, an_abandoned_call_is_silent_and_canceled_at_the_server);
    tcase_add_test(tests, closing_reports_what_runs_and_what_waits);
    tcase_add_test(tests, an_error_is_told_by_its_sqlstate_without_the_value);
    tcase_add_test(tests, a_connection_left_inside_a_transaction_is_not_used_again);
    tcase_add_test(tests, a_server_that_has_lost_the_prepared_statements_is_left);
    tcase_add_test(tests, a_server_that_falls_silent_leaves_the_outcome_unknown);
    tcase_add_test(tests, a_connection_that_the_server_ends_is_replaced);
    tcase_add_test(tests, a_call_on_a_connection_that_is_just_found_broken_is_not_taken_for_done);
    tcase_add_test(tests, without_a_server_a_call_is_told_at_once);
    tcase_add_test(tests, a_silent_server_is_given_up_in_time_and_not_asked_again_at_once);
    tcase_add_test(tests, a_server_of_another_kind_is_told_and_the_password_is_not);
    tcase_add_test(tests, what_is_no_url_is_refused);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    pid_t server = start_server();
    if (server < 0) {
        (void)fprintf(stderr, "PostgreSQL does not start\n");
        return 1;
    }
    wait_for_server();
    int failed = unit_run("postgres", fill);
    stop_server(server);
    return failed;
}
