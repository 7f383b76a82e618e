#include "app/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include "app/admin.h"
#include "app/mail_relay.h"
#include "app/mail_writer.h"
#include "app/preflight.h"
#include "app/reactor.h"
#include "app/session_desk.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "core/jwt_library.h"
#include "net/curl_library.h"
#include "net/listener.h"
#include "net/mail.h"
#include "net/postgres_library.h"

#define FILES_RESERVED 64 /* besides clients: Redis, Stripe, logs, libraries */

struct server {
    struct server_options options;
    uv_loop_t loop;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_signal_t hangup;
    uv_timer_t drain_delay;
    uv_timer_t watchdog;
    struct mail_writer *writer; /* NULL: no mails */
    struct mailer *mailer;
    struct tls_context *tls;         /* NULL: plain HTTP */
    struct address_table *addresses; /* NULL: no limit by address */
    struct reactor **reactors;
    size_t reactor_count;
    struct endpoint webhook_endpoint; /* with the real port */
    struct admin admin;
    struct listener *admin_listener;
    uv_thread_t joiner; /* waits for the reactors while the admin listener goes on answering */
    uv_async_t joined;
    bool stopping;
    bool stuck; /* a loop does not turn, and the service manager knows */
};

/* ---- limits of the system */

/* Raises the limit of open files as far as the system lets us, and holds the number of connections below it. */
static void fit_files(struct settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    rlim_t rest = (rlim_t)settings->concurrency + FILES_RESERVED;
    rest += session_desk_is_wanted(settings) ? (rlim_t)settings->loops * SESSION_DESK_FILES : 0;
    rlim_t wanted = (rlim_t)settings->max_connections + rest;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < wanted) {
        uint64_t most = limit.rlim_cur > rest ? limit.rlim_cur - rest : 1;
        log_warn("fewer connections than IDENTIHOOK_MAX_CONNECTIONS are possible: raise the limit of open files",
                 LOG_NUMBER("open_files", limit.rlim_cur), LOG_NUMBER("connections", most));
        settings->max_connections = most;
    }
}

/* ---- telling the service manager */

#define ADDRESS_SIZE 80

static void write_address(const struct endpoint *endpoint, char address[ADDRESS_SIZE])
{
    (void)snprintf(address, ADDRESS_SIZE, strchr(endpoint->host, ':') ? "[%s]:%u" : "%s:%u", endpoint->host,
                   (unsigned)endpoint->port);
}

static void tell_status(struct server *server)
{
    struct service_manager *manager = server->options.manager;
    if (server->stuck) {
        service_manager_tell(manager, "STATUS=a loop does not turn");
    } else if (server->stopping) {
        service_manager_tell(manager, "STATUS=ends what is under way");
    } else if (server->options.ingests) {
        char address[ADDRESS_SIZE];
        write_address(&server->webhook_endpoint, address);
        service_manager_tell(manager, "STATUS=takes webhooks at %s", address);
    } else {
        service_manager_tell(manager, "STATUS=processes events");
    }
}

/* That this runs shows that the main loop turns; the others are looked at. */
static void on_watchdog(uv_timer_t *timer)
{
    struct server *server = timer->data;
    bool turn = admin_loops_turn(&server->admin);
    if (turn) {
        service_manager_tell(server->options.manager, "WATCHDOG=1");
    }
    if (turn == server->stuck) {
        server->stuck = !turn;
        log_warn(turn ? "every loop turns again" : "a loop does not turn, and the service manager may restart us",
                 LOG_NUMBER("watchdog_ms", timer->repeat));
        tell_status(server);
    }
}

static void tell_ready(struct server *server)
{
    uint64_t interval = service_manager_watchdog_ms(server->options.manager);
    service_manager_tell(server->options.manager, "READY=1");
    tell_status(server);
    if (interval > 0) {
        (void)uv_timer_start(&server->watchdog, on_watchdog, 0, interval);
    }
}

/* ---- secrets */

static int make_keys(const struct settings *settings, struct signature_keys **keys)
{
    struct text secrets[WEBHOOK_SECRETS_MAXIMUM];
    for (size_t i = 0; i < settings->webhook_secret_count; i++) {
        secrets[i] = secret_reveal(&settings->webhook_secrets[i].value);
    }
    return signature_keys_create(secrets, settings->webhook_secret_count, keys);
}

static void give_keys(struct server *server, const struct settings *settings)
{
    for (size_t i = 0; i < server->reactor_count; i++) {
        struct signature_keys *keys;
        if (make_keys(settings, &keys) < 0) {
            log_error("the signing secrets could not be put in place: out of memory", LOG_NUMBER("loop", i));
            return;
        }
        reactor_set_keys(server->reactors[i], keys);
    }
}

/* Whether sessions are handed out at all was decided at the start. */
static void give_token_keys(struct server *server, const struct settings *settings)
{
    const struct session_settings *sessions = &settings->sessions;
    if (!session_desk_is_wanted(server->options.settings) || !session_desk_is_wanted(settings)) {
        return;
    }
    for (size_t i = 0; i < server->reactor_count; i++) {
        struct token_keys *keys;
        if (token_keys_create(sessions->token_secrets, sessions->token_secret_count, &keys) < 0) {
            log_error("the tokens' secrets could not be put in place: out of memory", LOG_NUMBER("loop", i));
            return;
        }
        reactor_set_token_keys(server->reactors[i], keys);
    }
}

/* Reads the certificate that `settings` name into *tls; NULL when they name none. Logs what is wrong. */
static int make_tls(const struct settings *settings, struct tls_context **tls)
{
    char error[256];
    struct tls_options options = {
        .certificate = settings->tls_certificate, .key = settings->tls_key, .client_ca = settings->tls_client_ca};
    *tls = NULL;
    if (!settings->tls_certificate) {
        return 0;
    }
    int status = tls_context_create(&options, tls, error);
    if (status < 0) {
        log_error("TLS cannot be set up: check IDENTIHOOK_TLS_CERT, IDENTIHOOK_TLS_KEY and IDENTIHOOK_TLS_CLIENT_CA",
                  LOG_STRING("error", error));
    }
    return status;
}

/* Whether there is TLS at all was decided at the start. */
static void give_tls(struct server *server, const struct settings *settings)
{
    struct tls_context *tls;
    if (!server->tls || make_tls(settings, &tls) < 0 || !tls) {
        return;
    }
    for (size_t i = 0; i < server->reactor_count; i++) {
        reactor_set_tls(server->reactors[i], tls);
    }
    tls_context_release(server->tls);
    server->tls = tls;
    log_info("certificate reloaded", LOG_STRING("file", settings->tls_certificate));
}

/* False when they stay as they were, because the settings are faulty. */
static bool reload_secrets(struct server *server)
{
    struct settings fresh;
    struct buffer faults = {0};
    int status = settings_load(&fresh, SETTINGS_FOR_INGEST, server->options.env_file, &faults);
    if (status == 0) {
        give_keys(server, &fresh);
        give_token_keys(server, &fresh);
        give_tls(server, &fresh);
        log_info("signing secrets reloaded", LOG_NUMBER("secrets", fresh.webhook_secret_count));
    } else {
        log_error("the settings are faulty, and the secrets stay as they were",
                  LOG_TEXT("faults", buffer_text(&faults)));
    }
    settings_free(&fresh);
    buffer_free(&faults);
    return status == 0;
}

/* False when they stay as they were, because they are faulty. */
static bool reload_templates(struct server *server)
{
    struct buffer faults = {0};
    int status = mail_writer_reload(server->writer, &faults);
    if (status == 0) {
        log_info("mail templates reloaded", LOG_STRING("folder", server->options.settings->mail_templates));
    } else {
        log_error("the mail templates are faulty, and stay as they were", LOG_TEXT("faults", buffer_text(&faults)));
    }
    buffer_free(&faults);
    return status == 0;
}

static bool reload(struct server *server)
{
    bool has_secrets = server->options.ingests;
    bool has_templates = server->writer && server->options.settings->mail_templates;
    if (!has_secrets && !has_templates) {
        log_info("nothing to reload: only secrets and certificates of the webhook listener and mail templates are",
                 LOG_STRING("signal", "SIGHUP"));
    }
    bool secrets = !has_secrets || reload_secrets(server);
    bool templates = !has_templates || reload_templates(server);
    return secrets && templates;
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    struct service_manager *manager = server->options.manager;
    (void)number;
    if (server->stopping) {
        (void)reload(server); /* untold: READY=1 would take STOPPING=1 back */
        return;
    }
    service_manager_tell(manager, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
    bool reloaded = reload(server);
    service_manager_tell(manager, "READY=1");
    if (reloaded) {
        tell_status(server);
    } else {
        service_manager_tell(manager, "STATUS=the last reload failed: the log says why");
    }
}

/* ---- starting */

static int open_reactor(struct server *server, const struct endpoint *endpoint, size_t number)
{
    const struct settings *settings = server->options.settings;
    struct reactor_options options = {
        .settings = settings,
        .mailer = server->mailer,
        .writer = server->writer,
        .number = (unsigned)number,
        .ingests = server->options.ingests,
        .works = server->options.works,
        .endpoint = endpoint,
        .inherited = service_manager_socket(server->options.manager, INHERITED_WEBHOOK),
        .tls = server->tls,
        .addresses = server->addresses,
        .concurrency =
            (size_t)(settings->concurrency / settings->loops + (number < settings->concurrency % settings->loops)),
    };
    int status = options.ingests ? make_keys(settings, &options.keys) : 0;
    return status < 0 ? status : reactor_open(&options, &server->reactors[number]);
}

static void log_listening(const char *listener, const struct endpoint *endpoint, int inherited)
{
    char address[ADDRESS_SIZE];
    write_address(endpoint, address);
    log_info("listening", LOG_STRING("listener", listener), LOG_STRING("address", address),
             LOG_STRING("socket", inherited < 0 ? "own" : "inherited"));
}

static int open_reactors(struct server *server)
{
    struct endpoint endpoint = server->options.settings->listen;
    size_t wanted = (size_t)server->options.settings->loops;
    server->reactors = calloc(wanted, sizeof(struct reactor *));
    int status = server->reactors ? 0 : -ENOMEM;
    while (server->reactor_count < wanted && status == 0) {
        status = open_reactor(server, &endpoint, server->reactor_count);
        if (status == 0) {
            struct reactor *reactor = server->reactors[server->reactor_count++];
            /* The first one may have got a port from the system: the others share it. */
            endpoint = server->options.ingests ? reactor_endpoint(reactor) : endpoint;
        }
    }
    server->webhook_endpoint = endpoint;
    return status;
}

static int start_reactors(struct server *server)
{
    int status = 0;
    for (size_t i = 0; i < server->reactor_count && status == 0; i++) {
        status = reactor_start(server->reactors[i]);
    }
    if (status == 0 && server->options.ingests) {
        log_listening("webhook", &server->webhook_endpoint,
                      service_manager_socket(server->options.manager, INHERITED_WEBHOOK));
    }
    return status;
}

static int open_writer(struct server *server)
{
    struct buffer faults = {0};
    int status = mail_writer_open(server->options.settings, &server->writer, &faults);
    if (status == MAIL_WRITER_FAULTY) {
        log_error("mails cannot be written: check IDENTIHOOK_MAIL_TEMPLATES", LOG_TEXT("faults", buffer_text(&faults)));
        status = -ENOTSUP;
    }
    buffer_free(&faults);
    return status;
}

static int start_mailer(struct server *server)
{
    const struct settings *settings = server->options.settings;
    if (!server->options.works || !settings->smtp_url) {
        return 0;
    }
    struct mailer_options options;
    mail_relay_describe(settings, &options);
    if (settings->smtp_username && !settings->smtp_cleartext_login && options.tls == MAIL_TLS_WHEN_OFFERED &&
        strncasecmp(settings->smtp_url, "smtps:", 6) != 0) {
        log_warn("the SMTP server's certificate is not checked before the login: use smtps:// or "
                 "?starttls=required in SMTP_URL",
                 LOG_STRING("smtp_url", settings->smtp_url));
    }
    int status = open_writer(server);
    return status == 0 ? mailer_start(&options, &server->mailer) : status;
}

static int open_admin(struct server *server)
{
    int inherited = service_manager_socket(server->options.manager, INHERITED_ADMIN);
    struct listener_options options = {
        .limits = {.header_bytes = 8192, .headers = 64, .url = 1024, .body = 1024},
        .header_timeout_ms = 5000,
        .request_timeout_ms = 5000,
        .idle_timeout_ms = 60000,
        .linger_timeout_ms = 1000,
        .max_connections = 64,
        .max_pipelined = 1024,
        .max_held = 1u << 20,
        .inherited = inherited,
        .handler = &admin_handler,
        .context = &server->admin,
    };
    server->admin.reactors = server->reactors;
    server->admin.reactor_count = server->reactor_count;
    struct console_options console_options = {
        .settings = server->options.settings,
        .reactors = server->reactors,
        .reactor_count = server->reactor_count,
        .draining = &server->admin.draining,
        .role = server->options.ingests ? server->options.works ? "all" : "ingest" : "worker",
    };
    int status = console_open(&server->loop, &console_options, &server->admin.console);
    if (status < 0) {
        return status;
    }
    status = listener_open(&server->loop, &server->options.settings->admin_listen, &options, &server->admin_listener);
    if (status < 0) {
        log_error("the admin listener cannot be opened: is the port in use?",
                  LOG_STRING("address", server->options.settings->admin_listen.host),
                  LOG_NUMBER("port", server->options.settings->admin_listen.port),
                  LOG_STRING("error", uv_strerror(status)));
        return status;
    }
    struct endpoint endpoint = listener_endpoint(server->admin_listener);
    log_listening("admin", &endpoint, inherited);
    return 0;
}

/* ---- stopping: red, a pause, the reactors, and last the admin listener */

static void on_console_closed(void *context)
{
    struct server *server = context;
    server->admin.console = NULL;
}

static void on_admin_closed(void *context)
{
    struct server *server = context;
    server->admin_listener = NULL;
    console_close(server->admin.console, on_console_closed, server);
}

static void close_handles(struct server *server)
{
    uv_close((uv_handle_t *)&server->terminate, NULL);
    uv_close((uv_handle_t *)&server->interrupt, NULL);
    uv_close((uv_handle_t *)&server->hangup, NULL);
    uv_close((uv_handle_t *)&server->drain_delay, NULL);
    uv_close((uv_handle_t *)&server->watchdog, NULL);
    uv_close((uv_handle_t *)&server->joined, NULL);
    if (server->admin_listener) {
        listener_close(server->admin_listener, on_admin_closed, server);
    } else if (server->admin.console) {
        console_close(server->admin.console, on_console_closed, server);
    }
}

/* Freed only here: until then the admin listener reads their figures. */
static void free_reactors(struct server *server)
{
    for (size_t i = 0; i < server->reactor_count; i++) {
        reactor_free(server->reactors[i]);
    }
    free(server->reactors);
    server->reactors = NULL;
    server->reactor_count = 0;
    server->admin.reactor_count = 0;
}

static void on_joined(uv_async_t *handle)
{
    struct server *server = handle->data;
    (void)uv_thread_join(&server->joiner);
    close_handles(server);
}

static void join_reactors(void *context)
{
    struct server *server = context;
    for (size_t i = 0; i < server->reactor_count; i++) {
        reactor_wait(server->reactors[i]);
    }
    (void)uv_async_send(&server->joined);
}

static void on_drain_delay_over(uv_timer_t *timer)
{
    struct server *server = timer->data;
    for (size_t i = 0; i < server->reactor_count; i++) {
        reactor_stop(server->reactors[i]);
    }
    if (uv_thread_create(&server->joiner, join_reactors, server) < 0) {
        abort(); /* no thread can be had: nothing can end in order any more */
    }
}

static void on_terminate(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (server->stopping) {
        log_warn("stopping at once: a second signal came", LOG_NUMBER("signal", number));
        _exit(1);
    }
    server->stopping = true;
    server->admin.draining = true;
    log_info("stopping", LOG_NUMBER("signal", number));
    service_manager_tell(server->options.manager, "STOPPING=1");
    tell_status(server);
    (void)uv_timer_start(&server->drain_delay, on_drain_delay_over, server->options.settings->drain_delay_ms, 0);
}

/* ---- all of it */

static int init_loop(struct server *server)
{
    int status = uv_loop_init(&server->loop);
    if (status < 0) {
        return status;
    }
    (void)uv_signal_init(&server->loop, &server->terminate);
    (void)uv_signal_init(&server->loop, &server->interrupt);
    (void)uv_signal_init(&server->loop, &server->hangup);
    (void)uv_timer_init(&server->loop, &server->drain_delay);
    (void)uv_timer_init(&server->loop, &server->watchdog);
    (void)uv_async_init(&server->loop, &server->joined, on_joined);
    server->terminate.data = server->interrupt.data = server->hangup.data = server;
    server->drain_delay.data = server;
    server->watchdog.data = server;
    server->joined.data = server;
    (void)uv_signal_start(&server->terminate, on_terminate, SIGTERM);
    (void)uv_signal_start(&server->interrupt, on_terminate, SIGINT);
    (void)uv_signal_start(&server->hangup, on_hangup, SIGHUP);
    return 0;
}

static int open_addresses(struct server *server)
{
    uint64_t limit = server->options.settings->max_connections_per_address;
    return limit > 0 ? address_table_create((size_t)limit, &server->addresses) : 0;
}

static int start(struct server *server)
{
    int status = preflight(server->options.settings, server->options.ingests);
    status = status == 0 && server->options.ingests ? make_tls(server->options.settings, &server->tls) : status;
    status = status == 0 ? start_mailer(server) : status;
    status = status == 0 ? open_addresses(server) : status;
    status = status == 0 ? open_reactors(server) : status;
    status = status == 0 ? open_admin(server) : status;
    return status == 0 ? start_reactors(server) : status;
}

/* Said aloud, because its clients wait in vain for as long as the service manager keeps it open. */
static void refuse_webhook_socket(struct server *server)
{
    if (!server->options.ingests && service_manager_socket(server->options.manager, INHERITED_WEBHOOK) >= 0) {
        log_warn("a webhook socket was passed, and is closed: this role does not listen; take it out of the unit",
                 LOG_STRING("role", "worker"));
        service_manager_drop(server->options.manager, INHERITED_WEBHOOK);
    }
}

/* Sessions are created where requests come in. */
static bool creates_sessions(const struct server_options *options)
{
    return options->ingests && session_desk_is_wanted(options->settings);
}

static bool fetches(const struct server_options *options)
{
    return options->works || creates_sessions(options);
}

static int open_libraries(const struct server_options *options)
{
    struct buffer fault = {0};
    int status = fetches(options) ? curl_library_open(&fault) : 0;
    if (status == 0 && creates_sessions(options)) {
        status = jwt_library_open(&fault);
    }
    if (status == 0 && options->works && secret_is_set(&options->settings->database_url)) {
        status = postgres_library_open(&fault);
    }
    if (status != 0) {
        log_error("a library that this role needs is not there", LOG_TEXT("fault", buffer_text(&fault)));
    }
    buffer_free(&fault);
    return status == 0 ? 0 : -ENOTSUP;
}

int server_run(const struct server_options *options)
{
    struct server server = {.options = *options};
    fit_files(options->settings);
    int status = open_libraries(options);
    status = status == 0 ? init_loop(&server) : status;
    if (status < 0) {
        return status;
    }
    log_info("starting", LOG_STRING("version", version_text()), LOG_NUMBER("loops", options->settings->loops),
             LOG_NUMBER("ingests", options->ingests), LOG_NUMBER("works", options->works));
    refuse_webhook_socket(&server);
    status = start(&server);
    if (status < 0) {
        close_handles(&server);
    } else {
        tell_ready(&server);
    }
    (void)uv_run(&server.loop, UV_RUN_DEFAULT);
    free_reactors(&server);
    mailer_stop(server.mailer);
    mail_writer_close(server.writer);
    tls_context_release(server.tls);
    address_table_free(server.addresses);
    admin_free(&server.admin);
    (void)uv_loop_close(&server.loop);
    if (fetches(options)) {
        curl_library_close();
    }
    log_info("stopped", LOG_NUMBER("status", status));
    return status;
}
