#include "unit.h"

#include <signal.h>
#include <unistd.h>

#include "loop.h"
#include "net/postgres_library.h"
#include "script_server.h"
#include "store/verification.h"

/*
 * What becomes of a row when PostgreSQL's answer is not one. A real PostgreSQL always says what a statement did; the
 * one here speaks the protocol (version 3.0, chapter 55 of PostgreSQL's manual), and says whatever the test wants.
 */

/* One of the protocol, without its length. */
#define MESSAGE(type, body)                                                                                            \
    {                                                                                                                  \
        type, body, sizeof(body) - 1                                                                                   \
    }

struct message {
    char type;
    const char *body;
    size_t length;
};

static const struct message login = MESSAGE('R', "\0\0\0\0");
static const struct message ready = MESSAGE('Z', "I");
static const struct message set = MESSAGE('C', "SET\0");
static const struct message parsed = MESSAGE('1', "");
static const struct message bound = MESSAGE('2', "");
static const struct message columns = MESSAGE('T', "\0\2"
                                                   "a\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0"
                                                   "b\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0");
static const struct message row = MESSAGE('D', "\0\2\0\0\0\1\x30\0\0\0\1\x31");
static const struct message no_columns = MESSAGE('n', "");
static const struct message selected = MESSAGE('C', "SELECT 1\0");

static void say(struct script_peer *peer, const struct message *message)
{
    unsigned char head[5] = {(unsigned char)message->type, 0, 0, 0, (unsigned char)(message->length + 4)};
    (void)!write(peer->fd, head, sizeof(head));
    (void)!write(peer->fd, message->body, message->length);
}

static bool hear(struct script_peer *peer, char *type)
{
    unsigned char length[4];
    char body[4096];
    if ((type && !script_bytes(peer, type, 1)) || !script_bytes(peer, (char *)length, sizeof(length))) {
        return false;
    }
    return script_bytes(peer, body, (size_t)length[2] * 256 + length[3] - sizeof(length));
}

/* `context`: whether a row is told. */
static void answer(struct script_peer *peer, void *context)
{
    const bool *tells = context;
    char type;
    if (!hear(peer, NULL)) { /* the startup message has no type */
        return;
    }
    say(peer, &login);
    say(peer, &ready);
    while (hear(peer, &type)) {
        switch (type) {
        case 'Q':
            say(peer, &set);
            say(peer, &ready);
            break;
        case 'P':
            say(peer, &parsed);
            break;
        case 'B':
            say(peer, &bound);
            break;
        case 'D':
            say(peer, *tells ? &columns : &no_columns);
            break;
        case 'E':
            if (*tells) {
                say(peer, &row);
            }
            say(peer, &selected);
            break;
        case 'S':
            say(peer, &ready);
            break;
        default:
            return;
        }
    }
}

static struct postgres *pool;
static struct verification_call call;
static bool answered;
static enum verification_outcome outcome;
static char reason[40];

static void on_answer(struct verification_call *ended, const struct verification_result *result)
{
    (void)ended;
    answered = true;
    outcome = result->outcome;
    (void)snprintf(reason, sizeof(reason), "%s", result->reason ? result->reason : "");
}

static void find(struct script_server *server)
{
    char url[96];
    struct secret secret = {0};
    struct postgres_options options = {
        .url = &secret, .connections = 1, .waiting = 1, .connect_timeout_ms = 10000, .statement_timeout_ms = 10000};
    (void)snprintf(url, sizeof(url), "postgresql://user@127.0.0.1:%d/db?sslmode=disable", script_server_port(server));
    ck_assert_int_eq(secret_set(&secret, text_of(url)), 0);
    ck_assert_int_eq(postgres_open(&loop, &options, &pool), 0);
    secret_clear(&secret);
    call.callback = on_answer;
    ck_assert_int_eq(verification_find(pool, &call, TEXT("vs_1")), 0);
    TURN_UNTIL(answered);
    CLOSE(postgres_close, pool);
    loop_close();
    script_server_stop(server);
}

START_TEST(an_answer_with_a_row_tells_what_was_done)
{
    bool tells = true;
    find(script_server_start(answer, &tells, NULL, false));
    ck_assert_int_eq(outcome, VERIFICATION_WRITTEN);
}
END_TEST

START_TEST(an_answer_without_a_row_is_not_taken_for_a_row_that_was_kept)
{
    bool tells = false;
    find(script_server_start(answer, &tells, NULL, false));
    ck_assert_int_eq(outcome, VERIFICATION_DEFERRED);
    ck_assert_str_eq(reason, "postgres_unconfirmed");
}
END_TEST

static void set_up(void)
{
    struct buffer fault = {0};
    ck_assert_int_eq(postgres_library_open(&fault), 0);
    loop_open();
}

static void fill(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, an_answer_with_a_row_tells_what_was_done);
    tcase_add_test(tests, an_answer_without_a_row_is_not_taken_for_a_row_that_was_kept);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return unit_run("verification", fill);
}
