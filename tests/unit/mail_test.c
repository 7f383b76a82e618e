#include "unit.h"

#include <errno.h>
#include <signal.h>

#include <uv.h>

#include "base/clock.h"
#include "net/curl_library.h"
#include "net/mail.h"
#include "smtp_script.h"
#include "tls_identity.h"

/* ---- a mailer, an outlet on a loop, and what its mails came to */

struct outcome {
    int calls;
    struct mail_result result;
};

struct world {
    uv_loop_t loop;
    struct mailer *mailer;
    struct mail_outlet *outlet;
    struct script_server *server;
    struct smtp_script script;
    struct tls_identity identity;
    struct secret password;
    struct mailer_options options;
    char url[128];
    int ended;
    uv_timer_t ticker;
    int ticks;
    uint64_t last_tick_ms;
    uint64_t longest_gap_ms;
};

static struct world world;

static const char message[] = "Subject: hello\r\n\r\n.a line with a dot\r\nthe last line\r\n";

static void on_tick(uv_timer_t *timer)
{
    uint64_t now = clock_monotonic_ms();
    uint64_t gap = now - world.last_tick_ms;
    (void)timer;
    world.longest_gap_ms = gap > world.longest_gap_ms ? gap : world.longest_gap_ms;
    world.last_tick_ms = now;
    world.ticks++;
}

static void on_result(void *context, const struct mail_result *result)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->result = *result;
    world.ended++;
}

/* Tests change the options and the script, then start. */
static void prepare(void)
{
    pthread_mutex_init(&world.script.lock, NULL);
    world.options = (struct mailer_options){.url = world.url, .timeout_ms = 3000, .threads = 2, .mailbox = 8};
}

static void start_server(bool tls_at_once)
{
    world.server = script_server_start(smtp_script_serve, &world.script, world.identity.server, tls_at_once);
    (void)snprintf(world.url, sizeof(world.url), "%s://127.0.0.1:%d", tls_at_once ? "smtps" : "smtp",
                   script_server_port(world.server));
}

static void start_mailer(void)
{
    ck_assert_int_eq(uv_loop_init(&world.loop), 0);
    uv_timer_init(&world.loop, &world.ticker);
    uv_timer_start(&world.ticker, on_tick, 10, 10);
    uv_unref((uv_handle_t *)&world.ticker);
    world.last_tick_ms = clock_monotonic_ms();
    ck_assert_int_eq(mailer_start(&world.options, &world.mailer), 0);
    ck_assert_int_eq(mail_outlet_open(world.mailer, &world.loop, &world.outlet), 0);
}

static void start(void)
{
    start_server(false);
    start_mailer();
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static void stop(void)
{
    bool closed = false;
    mail_outlet_close(world.outlet, on_closed, &closed);
    uv_close((uv_handle_t *)&world.ticker, NULL);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    ck_assert(closed);
    ck_assert_int_eq(uv_loop_close(&world.loop), 0);
    mailer_stop(world.mailer);
    if (world.server) {
        script_server_stop(world.server);
    }
    if (world.identity.server) {
        tls_identity_free(&world.identity);
    }
    secret_clear(&world.password);
    pthread_mutex_destroy(&world.script.lock);
}

static int try_to_send(struct outcome *outcome)
{
    struct mail mail = {
        .from = TEXT("sender@example.com"), .to = TEXT("person@example.com"), .message = text_of(message)};
    int before = world.ended;
    int status = mail_send(world.outlet, &mail, on_result, outcome);
    ck_assert_int_eq(world.ended, before);
    return status;
}

static void send_one(struct outcome *outcome)
{
    ck_assert_int_eq(try_to_send(outcome), 0);
}

static void run_until(int ended)
{
    while (world.ended < ended && uv_run(&world.loop, UV_RUN_ONCE)) {
    }
    ck_assert_int_eq(world.ended, ended);
}

static struct mail_result deliver(void)
{
    struct outcome outcome = {0};
    send_one(&outcome);
    run_until(world.ended + 1);
    ck_assert_int_eq(outcome.calls, 1);
    return outcome.result;
}

static void check(struct mail_result result, enum mail_outcome outcome, int code)
{
    ck_assert_msg(result.outcome == outcome && result.code == code, "outcome %d, code %d: %s", result.outcome,
                  result.code, result.error);
    ck_assert((result.outcome == MAIL_SENT) == (result.error[0] == '\0'));
    ck_assert_ptr_null(strchr(result.error, '@'));
}

/* ---- what arrives */

START_TEST(a_mail_arrives_as_it_was_given)
{
    prepare();
    start();
    check(deliver(), MAIL_SENT, 250);
    ck_assert_str_eq(world.script.from, "MAIL FROM:<sender@example.com>");
    ck_assert_str_eq(world.script.to, "RCPT TO:<person@example.com>");
    ck_assert_str_eq(world.script.message, "Subject: hello\n\n.a line with a dot\nthe last line\n");
    ck_assert_str_eq(world.script.login, "");
    stop();
    ck_assert_int_eq(world.script.mails, 1);
    ck_assert_int_eq(world.script.quits, 1);
}
END_TEST

START_TEST(a_connection_is_used_again)
{
    prepare();
    world.options.threads = 1;
    start();
    for (int i = 0; i < 3; i++) {
        check(deliver(), MAIL_SENT, 250);
    }
    ck_assert_int_eq(script_server_connections(world.server), 1);
    stop();
    ck_assert_int_eq(world.script.mails, 3);
}
END_TEST

START_TEST(a_connection_that_the_server_ended_between_mails_costs_no_mail)
{
    prepare();
    world.options.threads = 1;
    world.script.goodbye = (enum smtp_goodbye)_i;
    start();
    for (int i = 0; i < 3; i++) {
        check(deliver(), MAIL_SENT, 250);
        script_pause(20); /* the goodbye has come */
    }
    ck_assert_int_eq(script_server_connections(world.server), 3);
    stop();
    ck_assert_int_eq(world.script.mails, 3);
}
END_TEST

START_TEST(a_refused_mail_does_not_harm_the_next)
{
    prepare();
    world.options.threads = 1;
    world.script.reply_at = SMTP_RCPT;
    world.script.reply = "550 5.1.1 no\r\n";
    start();
    check(deliver(), MAIL_PERMANENT, 550);
    world.script.reply_at = SMTP_NOWHERE;
    check(deliver(), MAIL_SENT, 250);
    stop();
}
END_TEST

START_TEST(a_login_is_sent_where_one_is_configured)
{
    prepare();
    ck_assert_int_eq(secret_set(&world.password, TEXT("swordfish")), 0);
    world.options.username = "mailer";
    world.options.password = &world.password;
    world.options.cleartext_login = true;
    world.script.offers_login = true;
    start();
    check(deliver(), MAIL_SENT, 250);
    ck_assert_str_eq(world.script.login, "AG1haWxlcgBzd29yZGZpc2g="); /* \0mailer\0swordfish */
    stop();
}
END_TEST

static const struct {
    enum mail_tls tls;
    bool offered;
    bool allowed;
    enum mail_outcome outcome;
    bool told;
} logins[] = {
    {MAIL_TLS_WHEN_OFFERED, true, false, MAIL_SENT, true}, {MAIL_TLS_WHEN_OFFERED, false, false, MAIL_TRANSIENT, false},
    {MAIL_TLS_WHEN_OFFERED, false, true, MAIL_SENT, true}, {MAIL_TLS_REQUIRED, false, true, MAIL_TRANSIENT, false},
    {MAIL_TLS_OFF, false, false, MAIL_TRANSIENT, false},   {MAIL_TLS_OFF, true, true, MAIL_SENT, true},
};

START_TEST(a_login_does_not_go_in_clear_text_unasked)
{
    prepare();
    ck_assert_int_eq(secret_set(&world.password, TEXT("swordfish")), 0);
    tls_identity_create(&world.identity, "IP:127.0.0.1");
    world.options.username = "mailer";
    world.options.password = &world.password;
    world.options.tls = logins[_i].tls;
    world.options.cleartext_login = logins[_i].allowed;
    world.script.offers_login = true;
    world.script.offers_tls = logins[_i].offered;
    start_server(false);
    start_mailer();
    struct mail_result result = deliver();
    ck_assert_msg(result.outcome == logins[_i].outcome, "%d: %s", result.outcome, result.error);
    ck_assert_int_eq(world.script.login[0] != '\0', logins[_i].told);
    ck_assert_int_eq(world.script.mails, result.outcome == MAIL_SENT);
    if (result.outcome != MAIL_SENT) {
        ck_assert_ptr_nonnull(strstr(result.error, "STARTTLS"));
    }
    stop();
}
END_TEST

/* ---- what the server says */

static const struct {
    enum smtp_step step;
    const char *reply;
    enum mail_outcome outcome;
    int code;
} replies[] = {
    {SMTP_GREETING, "421 4.3.2 not now\r\n", MAIL_TRANSIENT, 421},
    {SMTP_GREETING, "554 5.7.1 not you\r\n", MAIL_TRANSIENT, 554}, /* any mail would meet it */
    {SMTP_EHLO, "421 4.3.2 not now\r\n", MAIL_TRANSIENT, 421},
    {SMTP_EHLO, "550 5.7.1 not you\r\n", MAIL_TRANSIENT, 550},
    {SMTP_AUTH, "454 4.7.0 not now\r\n", MAIL_TRANSIENT, 454},
    {SMTP_AUTH, "535 5.7.8 who?\r\n", MAIL_TRANSIENT, 535}, /* the operator's to mend */
    {SMTP_AUTH, "534 5.7.9 too weak\r\n", MAIL_TRANSIENT, 534},
    {SMTP_MAIL, "451 4.3.0 not now\r\n", MAIL_TRANSIENT, 451},
    {SMTP_MAIL, "530 5.7.0 login first\r\n", MAIL_TRANSIENT, 530},
    {SMTP_MAIL, "553 5.1.8 not from you\r\n", MAIL_PERMANENT, 553},
    {SMTP_RCPT, "450 4.2.1 not now\r\n", MAIL_TRANSIENT, 450},
    {SMTP_RCPT, "550 5.1.1 <person@example.com> unknown\r\n", MAIL_PERMANENT, 550},
    {SMTP_RCPT, "550-5.1.1 person@example.com\r\n550 5.1.1 unknown\r\n", MAIL_PERMANENT, 550},
    {SMTP_DATA, "451 4.3.0 not now\r\n", MAIL_TRANSIENT, 451},
    {SMTP_DATA, "554 5.5.1 no valid recipients\r\n", MAIL_PERMANENT, 554},
    {SMTP_FINAL, "452 4.3.1 disk full\r\n", MAIL_TRANSIENT, 452},
    {SMTP_FINAL, "554 5.7.1 spam\r\n", MAIL_PERMANENT, 554},
    {SMTP_FINAL, "421 4.3.2 shutting down\r\n", MAIL_TRANSIENT, 421},
    {SMTP_FINAL, "250 taken\r\n", MAIL_SENT, 250},
    {SMTP_FINAL, "250-taken\r\n250 2.0.0 indeed\r\n", MAIL_SENT, 250},
};

START_TEST(the_servers_code_decides)
{
    prepare();
    ck_assert_int_eq(secret_set(&world.password, TEXT("swordfish")), 0);
    world.options.username = replies[_i].step == SMTP_AUTH ? "mailer" : NULL;
    world.options.password = &world.password;
    world.options.cleartext_login = true;
    world.script.offers_login = true;
    world.script.reply_at = replies[_i].step;
    world.script.reply = replies[_i].reply;
    start();
    check(deliver(), replies[_i].outcome, replies[_i].code);
    stop();
}
END_TEST

static const struct {
    const char *reply;
    const char *told; /* behind "for good" */
} told[] = {
    {"550 5.1.1 <person@example.com> unknown\r\n", " (5.1.1); it says: … unknown"},
    {"550 5.1.1 person@example.com: user unknown.\r\n", " (5.1.1); it says: … user unknown"},
    {"550-5.1.1 The email account that you tried to reach\r\n550 5.1.1 does NOT exist, Jenny!\r\n",
     " (5.1.1); it says: The email account that you … to reach does NOT exist …"},
    {"550 user jrosen has moved to jrosen.example\r\n", "; it says: user … has moved to …"},
    {"552 Mailbox full (quota exceeded) 4711\r\n", "; it says: Mailbox full quota exceeded …"},
    {"550 5.7.1 jrosen\r\n", " (5.7.1)"},
    {"550 \x1b[31m\xff unknown\x07 user\r\n", "; it says: … user"},
    {"550\r\n", ""},
    {"554 spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam spam "
     "spam "
     "spam spam spam spam spam spam spam spam spam\r\n",
     "; it says: spam spam spam spam spam spam spam spam spam spam spam spam spam spam "
     "spam spam spam spam spam spam spam spam spam spam spam spam spam spam"},
};

START_TEST(the_servers_words_are_told_but_nobody_is_named)
{
    prepare();
    world.script.reply_at = SMTP_RCPT;
    world.script.reply = told[_i].reply;
    start();
    char wanted[360];
    (void)snprintf(wanted, sizeof(wanted), "the SMTP server refuses the recipient for good%s", told[_i].told);
    ck_assert_str_eq(deliver().error, wanted);
    stop();
}
END_TEST

static const struct {
    const char *from;
    const char *to;
    bool offered;
    enum mail_outcome outcome;
} international[] = {
    {"a@b.example", "j\xc3\xb6rg@b.example", true, MAIL_SENT},
    {"a@b.example", "j\xc3\xb6rg@b.example", false, MAIL_PERMANENT},
    {"\xc3\xa4@b.example", "b@b.example", true, MAIL_SENT},
    {"\xc3\xa4@b.example", "b@b.example", false, MAIL_PERMANENT},
};

START_TEST(an_international_address_goes_only_where_it_is_understood)
{
    prepare();
    world.options.threads = 1;
    world.script.offers_utf8 = international[_i].offered;
    start();
    check(deliver(), MAIL_SENT, 250); /* so that the next goes over a kept connection */
    for (int i = 0; i < 2; i++) {
        struct outcome outcome = {0};
        struct mail mail = {
            .from = text_of(international[_i].from), .to = text_of(international[_i].to), .message = text_of(message)};
        ck_assert_int_eq(mail_send(world.outlet, &mail, on_result, &outcome), 0);
        run_until(i + 2);
        ck_assert_msg(outcome.result.outcome == international[_i].outcome, "%s", outcome.result.error);
        ck_assert_int_eq(strstr(outcome.result.error, "SMTPUTF8") != NULL, !international[_i].offered);
    }
    stop();
    ck_assert_int_eq(world.script.mails, international[_i].offered ? 3 : 1);
    ck_assert_int_eq(strstr(world.script.from, "SMTPUTF8") != NULL, international[_i].offered);
    if (!international[_i].offered) {
        ck_assert_ptr_nonnull(strstr(world.script.to, "person@example.com")); /* the first mail's */
    }
}
END_TEST

START_TEST(a_server_that_offers_no_login_gets_none)
{
    prepare();
    ck_assert_int_eq(secret_set(&world.password, TEXT("swordfish")), 0);
    world.options.username = "mailer";
    world.options.password = &world.password;
    world.options.cleartext_login = true;
    world.script.reply_at = SMTP_MAIL;
    world.script.reply = "530 5.7.0 login first\r\n";
    start();
    ck_assert_int_eq(deliver().outcome, MAIL_TRANSIENT);
    stop();
}
END_TEST

/* ---- what the server does not say */

START_TEST(a_refused_connection_is_transient)
{
    prepare();
    start_server(false);
    script_server_stop(world.server);
    world.server = NULL;
    start_mailer();
    check(deliver(), MAIL_TRANSIENT, 0);
    stop();
}
END_TEST

static const struct {
    enum smtp_step step;
    enum mail_outcome outcome;
    int code;
} ends[] = {
    {SMTP_GREETING, MAIL_TRANSIENT, 0}, {SMTP_EHLO, MAIL_TRANSIENT, 0}, {SMTP_MAIL, MAIL_TRANSIENT, 0},
    {SMTP_RCPT, MAIL_TRANSIENT, 0},     {SMTP_DATA, MAIL_TRANSIENT, 0}, {SMTP_CONTENT, MAIL_UNKNOWN, 354},
    {SMTP_FINAL, MAIL_UNKNOWN, 354},
};

/* At SMTP_CONTENT the mail is so short that it is on the wire before the end of the connection is seen: nobody can tell
 * these two apart from here. */
START_TEST(a_connection_that_ends_is_unknown_only_after_the_whole_mail)
{
    prepare();
    world.script.close_at = ends[_i].step;
    start();
    check(deliver(), ends[_i].outcome, ends[_i].code);
    stop();
}
END_TEST

START_TEST(a_server_that_falls_silent_is_unknown_only_after_the_whole_mail)
{
    prepare();
    world.options.timeout_ms = 300;
    world.script.stall_at = ends[_i].step;
    start();
    uint64_t started = clock_monotonic_ms();
    check(deliver(), ends[_i].outcome, ends[_i].code);
    ck_assert_uint_lt(clock_monotonic_ms() - started, 1500);
    stop();
}
END_TEST

START_TEST(a_mail_that_was_not_handed_over_whole_is_transient)
{
    enum { LARGE = 16 * 1024 * 1024 };
    prepare();
    world.options.timeout_ms = 700;
    world.script.pause_at = SMTP_CONTENT; /* reads nothing: the mail fills all buffers on the way */
    world.script.pause_ms = 1000;
    start();
    char *large = malloc(LARGE);
    memset(large, 'x', LARGE);
    for (size_t i = 78; i + 1 < LARGE; i += 80) {
        memcpy(large + i, "\r\n", 2);
    }
    struct outcome outcome = {0};
    struct mail mail = {
        .from = TEXT("a@example.com"), .to = TEXT("b@example.com"), .message = {.data = large, .length = LARGE}};
    ck_assert_int_eq(mail_send(world.outlet, &mail, on_result, &outcome), 0);
    free(large); /* it was copied */
    run_until(1);
    check(outcome.result, MAIL_TRANSIENT, 354);
    stop();
    ck_assert_int_eq(world.script.mails, 0);
}
END_TEST

/* ---- the loop, and the mailbox */

START_TEST(a_slow_server_does_not_hold_up_the_loop)
{
    prepare();
    world.script.pause_at = SMTP_FINAL;
    world.script.pause_ms = 600;
    start();
    check(deliver(), MAIL_SENT, 250);
    ck_assert_int_ge(world.ticks, 30);
    ck_assert_uint_lt(world.longest_gap_ms, 200);
    stop();
}
END_TEST

START_TEST(a_mail_that_no_thread_has_begun_can_be_taken_back)
{
    prepare();
    world.options.threads = 1;
    world.script.pause_at = SMTP_CONTENT;
    world.script.pause_ms = 300;
    start();
    struct outcome outcomes[2] = {{0}};
    struct mail mail = {.from = TEXT("a@example.com"), .to = TEXT("b@example.com"), .message = text_of(message)};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(mail_send(world.outlet, &mail, on_result, &outcomes[i]), 0);
    }
    ck_assert(mail_withdraw(world.outlet, &outcomes[1]));
    ck_assert(!mail_withdraw(world.outlet, &outcomes[1]));
    run_until(1);
    check(outcomes[0].result, MAIL_SENT, 250);
    ck_assert(!mail_withdraw(world.outlet, &outcomes[0]));
    stop();
    ck_assert_int_eq(outcomes[1].calls, 0);
    ck_assert_int_eq(world.script.mails, 1);
}
END_TEST

START_TEST(a_mail_is_not_begun_after_the_time_for_which_its_sender_is_vouched)
{
    prepare();
    start();
    mail_outlet_vouch(world.outlet, clock_monotonic_ms() - 1);
    check(deliver(), MAIL_TRANSIENT, 0);
    ck_assert_int_eq(world.script.mails, 0);
    mail_outlet_vouch(world.outlet, clock_monotonic_ms() + 60000);
    check(deliver(), MAIL_SENT, 250);
    stop();
    ck_assert_int_eq(world.script.mails, 1);
}
END_TEST

START_TEST(a_full_mailbox_refuses)
{
    enum { ROOM = 3 };
    static struct outcome outcomes[ROOM + 1];
    struct outcome refused = {0};
    prepare();
    world.options.threads = 1;
    world.options.mailbox = ROOM;
    world.script.pause_at = SMTP_FINAL;
    world.script.pause_ms = 300;
    start();
    send_one(&outcomes[0]);
    while (script_server_connections(world.server) == 0) {
        script_pause(5); /* until the thread has taken it out of the mailbox */
    }
    for (int i = 1; i <= ROOM; i++) {
        send_one(&outcomes[i]);
    }
    ck_assert_int_eq(try_to_send(&refused), -EAGAIN);
    run_until(ROOM + 1);
    for (int i = 0; i <= ROOM; i++) {
        ck_assert_int_eq(outcomes[i].calls, 1);
        check(outcomes[i].result, MAIL_SENT, 250);
    }
    check(deliver(), MAIL_SENT, 250); /* there is room again */
    ck_assert_int_eq(refused.calls, 0);
    stop();
}
END_TEST

START_TEST(two_threads_send_side_by_side)
{
    static struct outcome outcomes[8];
    prepare();
    world.script.pause_at = SMTP_FINAL;
    world.script.pause_ms = 100;
    start();
    for (int i = 0; i < 8; i++) {
        send_one(&outcomes[i]);
    }
    run_until(8);
    ck_assert_int_eq(script_server_connections(world.server), 2);
    stop();
    ck_assert_int_eq(world.script.mails, 8);
}
END_TEST

static int send_to(const char *from, const char *to)
{
    struct outcome outcome = {0};
    struct mail mail = {.from = text_of(from), .to = text_of(to), .message = text_of(message)};
    return mail_send(world.outlet, &mail, on_result, &outcome);
}

START_TEST(an_address_cannot_smuggle_in_commands)
{
    char local[300];
    memset(local, 'a', sizeof(local));
    memcpy(local + 240, "@example.com.au", 16); /* 255 bytes */
    prepare();
    start();
    ck_assert_int_eq(send_to("a@example.com", ""), -EINVAL);
    ck_assert_int_eq(send_to("", "b@example.com"), -EINVAL);
    ck_assert_int_eq(send_to("a@example.com", "b@example.com>\r\nRCPT TO:<c@example.com"), -EINVAL);
    ck_assert_int_eq(send_to("a@example.com\nRSET", "b@example.com"), -EINVAL);
    ck_assert_int_eq(send_to("a@example.com", "b@example.com c@example.com"), -EINVAL);
    ck_assert_int_eq(send_to("a@example.com", "b@example.com> NOTIFY=NEVER <"), -EINVAL);
    ck_assert_int_eq(send_to("a@example.com", local), -EINVAL);
    stop();
}
END_TEST

/* ---- stopping */

static const enum smtp_step stalls[] = {SMTP_GREETING, SMTP_RCPT, SMTP_CONTENT, SMTP_FINAL};

START_TEST(aborting_ends_all_mails_soon)
{
    enum { MANY = 6 };
    static struct outcome outcomes[MANY];
    int unknown = 0;
    prepare();
    world.options.timeout_ms = 60000;
    world.script.stall_at = stalls[_i];
    start();
    for (int i = 0; i < MANY; i++) {
        send_one(&outcomes[i]);
    }
    while (script_server_connections(world.server) < 2) {
        script_pause(5);
    }
    script_pause(100); /* both threads are at the step */
    uint64_t started = clock_monotonic_ms();
    mailer_abort(world.mailer);
    mailer_abort(world.mailer);
    run_until(MANY);
    ck_assert_uint_lt(clock_monotonic_ms() - started, 700); /* at once, and not when libcurl next looks up */
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(outcomes[i].calls, 1);
        ck_assert_int_ne(outcomes[i].result.outcome, MAIL_SENT);
        ck_assert_int_ne(outcomes[i].result.outcome, MAIL_PERMANENT);
        unknown += outcomes[i].result.outcome == MAIL_UNKNOWN;
    }
    /* Only what was handed over whole: one mail of each thread. */
    ck_assert_int_eq(unknown, stalls[_i] == SMTP_FINAL || stalls[_i] == SMTP_CONTENT ? 2 : 0);
    check(deliver(), MAIL_TRANSIENT, 0); /* and what comes later */
    stop();
    ck_assert_uint_lt(clock_monotonic_ms() - started, 2500);
}
END_TEST

START_TEST(a_server_that_ignores_quit_does_not_hold_up_stopping)
{
    prepare();
    world.options.timeout_ms = 60000;
    world.script.stall_at = SMTP_QUIT;
    start();
    check(deliver(), MAIL_SENT, 250);
    uint64_t started = clock_monotonic_ms();
    stop();
    ck_assert_uint_lt(clock_monotonic_ms() - started, 3000); /* newer libcurls themselves wait a second for QUIT */
}
END_TEST

START_TEST(a_server_that_ignores_quit_does_not_hold_up_a_result)
{
    prepare();
    world.options.timeout_ms = 60000;
    world.script.stall_at = SMTP_QUIT;
    world.script.reply_at = SMTP_RCPT;
    world.script.reply = "550 5.1.1 no\r\n";
    start();
    uint64_t started = clock_monotonic_ms();
    check(deliver(), MAIL_PERMANENT, 550);
    ck_assert_uint_lt(clock_monotonic_ms() - started, 3000); /* newer libcurls themselves wait a second for QUIT */
    stop();
}
END_TEST

START_TEST(an_idle_connection_is_given_back_even_to_a_server_that_ignores_quit)
{
    prepare();
    world.options.timeout_ms = 60000;
    world.options.threads = 1;
    world.options.keep_ms = 100;
    world.script.stall_at = SMTP_QUIT;
    start();
    check(deliver(), MAIL_SENT, 250);
    script_pause(300);
    ck_assert_int_eq(world.script.quits, 1);
    uint64_t started = clock_monotonic_ms();
    check(deliver(), MAIL_SENT, 250); /* by the same thread: it does not wait for the answer to QUIT */
    ck_assert_uint_lt(clock_monotonic_ms() - started, 3000); /* newer libcurls themselves wait a second for QUIT */
    ck_assert_int_eq(script_server_connections(world.server), 2);
    stop();
}
END_TEST

/* ---- TLS */

static const struct {
    bool smtps;
    enum mail_tls tls;
    bool offered;
    bool trusted;
    const char *name;
    enum mail_outcome outcome;
    int tls_started;
} tls_cases[] = {
    {false, MAIL_TLS_WHEN_OFFERED, true, false, "IP:127.0.0.1", MAIL_SENT, 1},
    {false, MAIL_TLS_WHEN_OFFERED, true, true, "DNS:elsewhere.example", MAIL_SENT, 1},
    {false, MAIL_TLS_WHEN_OFFERED, false, false, "IP:127.0.0.1", MAIL_SENT, 0},
    {false, MAIL_TLS_OFF, true, true, "IP:127.0.0.1", MAIL_SENT, 0},
    {false, MAIL_TLS_REQUIRED, true, true, "IP:127.0.0.1", MAIL_SENT, 1},
    {false, MAIL_TLS_REQUIRED, true, false, "IP:127.0.0.1", MAIL_TRANSIENT, 1},
    {false, MAIL_TLS_REQUIRED, true, true, "DNS:elsewhere.example", MAIL_TRANSIENT, 1},
    {false, MAIL_TLS_REQUIRED, false, true, "IP:127.0.0.1", MAIL_TRANSIENT, 0},
    {true, MAIL_TLS_WHEN_OFFERED, false, true, "IP:127.0.0.1", MAIL_SENT, 0},
    {true, MAIL_TLS_WHEN_OFFERED, false, false, "IP:127.0.0.1", MAIL_TRANSIENT, 0},
    {true, MAIL_TLS_WHEN_OFFERED, false, true, "DNS:elsewhere.example", MAIL_TRANSIENT, 0},
};

START_TEST(certificates_are_checked_where_tls_is_insisted_on)
{
    prepare();
    tls_identity_create(&world.identity, tls_cases[_i].name);
    world.script.offers_tls = tls_cases[_i].offered;
    world.options.tls = tls_cases[_i].tls;
    world.options.ca_file = tls_cases[_i].trusted ? world.identity.file : NULL;
    start_server(tls_cases[_i].smtps);
    start_mailer();
    struct mail_result result = deliver();
    ck_assert_msg(result.outcome == tls_cases[_i].outcome, "%d: %s", result.outcome, result.error);
    ck_assert_int_eq(world.script.tls_started, tls_cases[_i].tls_started);
    ck_assert_int_eq(world.script.mails, tls_cases[_i].outcome == MAIL_SENT);
    stop();
}
END_TEST

/* ---- several loops */

struct side {
    uv_thread_t thread;
    int sent;
    bool strayed; /* a result came out on another thread */
};

enum { EACH = 20 };

static void on_side_result(void *context, const struct mail_result *result)
{
    struct side *side = context;
    uv_thread_t self = uv_thread_self();
    side->sent += result->outcome == MAIL_SENT;
    side->strayed = side->strayed || !uv_thread_equal(&self, &side->thread);
}

static void send_all(struct mail_outlet *outlet, uv_loop_t *loop, struct side *side)
{
    struct mail mail = {.from = TEXT("a@example.com"), .to = TEXT("b@example.com"), .message = text_of(message)};
    for (int i = 0; i < EACH; i++) {
        while (mail_send(outlet, &mail, on_side_result, side) == -EAGAIN) {
            uv_run(loop, UV_RUN_NOWAIT);
            script_pause(1);
        }
    }
    while (side->sent < EACH) {
        uv_run(loop, UV_RUN_ONCE);
    }
}

static void run_side(void *context)
{
    struct side *side = context;
    struct mail_outlet *outlet;
    uv_loop_t loop;
    bool closed = false;
    side->thread = uv_thread_self();
    (void)uv_loop_init(&loop);
    if (mail_outlet_open(world.mailer, &loop, &outlet) == 0) {
        send_all(outlet, &loop, side);
        mail_outlet_close(outlet, on_closed, &closed);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    side->strayed = side->strayed || !closed || uv_loop_close(&loop) != 0;
}

START_TEST(results_come_out_on_the_loop_of_who_sent)
{
    struct side sides[3] = {{.sent = 0}};
    uv_thread_t threads[3];
    prepare();
    world.options.mailbox = EACH; /* full at times */
    start();
    for (int i = 0; i < 3; i++) {
        uv_thread_create(&threads[i], run_side, &sides[i]);
    }
    for (int i = 0; i < 3; i++) {
        uv_thread_join(&threads[i]);
        ck_assert_int_eq(sides[i].sent, EACH);
        ck_assert(!sides[i].strayed);
    }
    stop();
    ck_assert_int_eq(world.script.mails, 3 * EACH);
}
END_TEST

static void open_curl(void)
{
    struct buffer fault = {0};
    ck_assert_msg(curl_library_open(&fault) == 0, "%s", fault.data);
}

static void fill(TCase *tests)
{
    (void)signal(SIGPIPE, SIG_IGN);
    tcase_add_unchecked_fixture(tests, open_curl, curl_library_close);
    tcase_add_test(tests, a_mail_arrives_as_it_was_given);
    tcase_add_test(tests, a_connection_is_used_again);
    tcase_add_loop_test(tests, a_connection_that_the_server_ended_between_mails_costs_no_mail, SMTP_LEAVES_AT_ONCE,
                        SMTP_LEAVES_SILENTLY_AT_NEXT_MAIL + 1);
    tcase_add_test(tests, a_refused_mail_does_not_harm_the_next);
    tcase_add_test(tests, a_login_is_sent_where_one_is_configured);
    tcase_add_loop_test(tests, a_login_does_not_go_in_clear_text_unasked, 0, (int)ARRAY_LENGTH(logins));
    tcase_add_loop_test(tests, the_servers_code_decides, 0, ARRAY_LENGTH(replies));
    tcase_add_loop_test(tests, the_servers_words_are_told_but_nobody_is_named, 0, (int)ARRAY_LENGTH(told));
    tcase_add_loop_test(tests, an_international_address_goes_only_where_it_is_understood, 0,
                        (int)ARRAY_LENGTH(international));
    tcase_add_test(tests, a_server_that_offers_no_login_gets_none);
    tcase_add_test(tests, a_refused_connection_is_transient);
    tcase_add_loop_test(tests, a_connection_that_ends_is_unknown_only_after_the_whole_mail, 0, ARRAY_LENGTH(ends));
    tcase_add_loop_test(tests, a_server_that_falls_silent_is_unknown_only_after_the_whole_mail, 0, ARRAY_LENGTH(ends));
    tcase_add_test(tests, a_mail_that_was_not_handed_over_whole_is_transient);
    tcase_add_test(tests, a_slow_server_does_not_hold_up_the_loop);
    tcase_add_test(tests, a_mail_that_no_thread_has_begun_can_be_taken_back);
    tcase_add_test(tests, a_mail_is_not_begun_after_the_time_for_which_its_sender_is_vouched);
    tcase_add_test(tests, a_full_mailbox_refuses);
    tcase_add_test(tests, two_threads_send_side_by_side);
    tcase_add_test(tests, an_address_cannot_smuggle_in_commands);
    tcase_add_loop_test(tests, aborting_ends_all_mails_soon, 0, ARRAY_LENGTH(stalls));
    tcase_add_test(tests, a_server_that_ignores_quit_does_not_hold_up_stopping);
    tcase_add_test(tests, a_server_that_ignores_quit_does_not_hold_up_a_result);
    tcase_add_test(tests, an_idle_connection_is_given_back_even_to_a_server_that_ignores_quit);
    tcase_add_loop_test(tests, certificates_are_checked_where_tls_is_insisted_on, 0, ARRAY_LENGTH(tls_cases));
    tcase_add_test(tests, results_come_out_on_the_loop_of_who_sent);
}

int main(void)
{
    return unit_run("mail", fill);
}
