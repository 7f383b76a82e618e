/*
 * A load generator for webhook endpoints: signed, unique events over keep-alive connections.
 *
 *   load HOST PORT PATH CONNECTIONS REQUESTS [RATE [bad]]
 *   load idle HOST PORT PATH CONNECTIONS [tls]
 *   load start PROCESSOR HOST PORT PATH COMMAND [WORD...]
 *
 * Everything is made before the clock starts: bodies of about 2.9 KB, each with its own event id and its own signature
 * by STRIPE_WEBHOOK_SECRET. Each connection sends its next request when the last is answered; with RATE (requests a
 * second, for all together) not before its moment, and latencies then count from that moment, so that a stalled server
 * is not spared. "bad" breaks the signatures.
 *
 * idle: each connection sends one request, one connection after the other, and all stay open until standard input ends.
 * start: runs the command on that processor and tells how long it takes from the fork to the first 200.
 *
 * Each prints one JSON object.
 */
#define _GNU_SOURCE /* epoll_pwait2, sched_setaffinity */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "stripe/signature.h"

#define BODY_BYTES 2900
#define STRIDE 4096 /* bytes kept per request */
#define START_DEADLINE_NS 30000000000
#define START_PAUSE_NS 50000 /* between two tries to reach a server that starts */

struct load {
    char *requests;
    uint16_t *lengths;
    size_t count;
    size_t next;
    size_t answered;
    size_t ok;
    uint64_t *latencies;
    uint64_t start_ns;
    uint64_t interval_ns; /* 0: as fast as answers come */
    int epoll;
    size_t turn; /* with a rate: whose turn it is */
};

struct target {
    const char *host;
    int port;
    const char *path;
};

struct client {
    int socket;
    SSL *tls; /* NULL: none */
    uint64_t sent_ns;
    size_t request; /* SIZE_MAX: none under way */
    char answer[2048];
    size_t answer_length;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- requests, made in advance */

static void make_body(struct buffer *body, size_t number, const char *run)
{
    buffer_clear(body);
    buffer_append_format(
        body,
        "{\n  \"id\": \"evt_1Bench%s%08zu\",\n  \"object\": \"event\",\n  \"api_version\": \"2026-10-28.endive\",\n"
        "  \"created\": 1793268304,\n  \"data\": {\n    \"object\": {\n      \"id\": \"vs_1Bench%s%08zu\",\n"
        "      \"object\": \"identity.verification_session\",\n      \"client_reference_id\": \"user_%zu\",\n"
        "      \"last_error\": null,\n      \"livemode\": false,\n      \"metadata\": {\n",
        run, number, run, number, number);
    for (int i = 0; body->length < BODY_BYTES - 300; i++) {
        buffer_append_format(
            body, "        \"key_%02d\": \"a value as applications keep them beside a session, %02d\",\n", i, i);
    }
    buffer_append_string(
        body, "        \"last\": \"value\"\n      },\n      \"options\": {\n        \"document\": {\n"
              "          \"require_matching_selfie\": true\n        }\n      },\n      \"status\": \"verified\",\n"
              "      \"type\": \"document\",\n      \"url\": null\n    }\n  },\n  \"livemode\": false,\n"
              "  \"pending_webhooks\": 1,\n  \"type\": \"identity.verification_session.verified\"\n}\n");
}

static void make_requests(struct load *load, const struct target *target, size_t count, bool bad)
{
    load->count = count;
    load->requests = malloc(count * STRIDE);
    load->lengths = calloc(count, sizeof(*load->lengths));
    load->latencies = calloc(count, sizeof(*load->latencies));
    if (!load->requests || !load->lengths || !load->latencies) {
        die("memory");
    }
    const char *secret = getenv("STRIPE_WEBHOOK_SECRET");
    struct text text = text_of(secret ? secret : "whsec_bench");
    struct signature_keys *keys;
    struct buffer body = {0};
    struct buffer header = {0};
    char run[7];
    random_identifier(run, 6);
    if (signature_keys_create(&text, 1, &keys) < 0) {
        die("keys");
    }
    for (size_t i = 0; i < load->count; i++) {
        make_body(&body, i, run);
        buffer_clear(&header);
        signature_sign(keys, 0, clock_wall_seconds(), buffer_text(&body), &header);
        if (bad) {
            header.data[header.length - 1] = header.data[header.length - 1] == '0' ? '1' : '0';
        }
        int length = snprintf(
            load->requests + i * STRIDE, STRIDE,
            "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
            "Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\n"
            "Content-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\nStripe-Signature: %s\r\n\r\n%s",
            target->path, target->host, body.length, header.data, body.data);
        if (length >= STRIDE) {
            die("a request is too long");
        }
        load->lengths[i] = (uint16_t)length;
    }
    signature_keys_free(keys);
    buffer_free(&body);
    buffer_free(&header);
}

/* ---- connections */

/* -1 with errno when nobody listens. */
static int connect_to(const struct target *target)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target->port)};
    int on = 1;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || inet_pton(AF_INET, target->host, &address.sin_addr) != 1) {
        die("socket");
    }
    if (connect(client, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int why = errno;
        (void)close(client);
        errno = why;
        return -1;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return client;
}

static bool transmit(const struct client *client, const char *data, size_t length)
{
    if (client->tls) {
        return SSL_write(client->tls, data, (int)length) == (int)length;
    }
    return send(client->socket, data, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Takes what is there, or waits for it. False when the server hung up. */
static bool receive(struct client *client)
{
    char *end = client->answer + client->answer_length;
    size_t space = sizeof(client->answer) - 1 - client->answer_length;
    ssize_t length = client->tls ? SSL_read(client->tls, end, (int)space) : recv(client->socket, end, space, 0);
    if (length <= 0) {
        return false;
    }
    client->answer_length += (size_t)length;
    client->answer[client->answer_length] = '\0';
    return true;
}

/* True when the whole answer is here. */
static bool is_whole(const struct client *client)
{
    const char *end = strstr(client->answer, "\r\n\r\n");
    const char *length = end ? strstr(client->answer, "ontent-Length: ") : NULL;
    length = end && !length ? strstr(client->answer, "ontent-length: ") : length;
    return length && client->answer_length >= (size_t)(end - client->answer) + 4 + strtoul(length + 15, NULL, 10);
}

static bool is_ok(const struct client *client)
{
    return strncmp(client->answer + 9, "200", 3) == 0;
}

/* One request and its answer, waiting. True when it is 200. */
static bool exchange(const struct load *load, struct client *client, size_t request)
{
    client->answer_length = 0;
    client->answer[0] = '\0';
    if (!transmit(client, load->requests + request * STRIDE, load->lengths[request])) {
        return false;
    }
    while (!is_whole(client)) {
        if (!receive(client)) {
            return false;
        }
    }
    return is_ok(client);
}

/* ---- the run */

static void send_next(struct load *load, struct client *client)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t due = load->start_ns + load->next * load->interval_ns;
    client->request = SIZE_MAX;
    if (load->next == load->count || now < due) {
        return;
    }
    client->request = load->next++;
    client->sent_ns = load->interval_ns ? due : now;
    if (!transmit(client, load->requests + client->request * STRIDE, load->lengths[client->request])) {
        die("send");
    }
}

static void on_readable(struct load *load, struct client *client)
{
    if (!receive(client)) {
        die("the server hung up");
    }
    if (!is_whole(client)) {
        return;
    }
    load->latencies[load->answered++] = clock_monotonic_ns() - client->sent_ns;
    load->ok += is_ok(client);
    client->answer_length = 0;
    send_next(load, client);
}

/* With a rate: gives what is due to idle connections, in turn. Returns the time until the next, or NULL when only an
 * answer can bring one. */
static const struct timespec *send_due(struct load *load, struct client *clients, size_t client_count,
                                       struct timespec *pause)
{
    for (size_t i = 0; load->interval_ns && i < client_count; i++, load->turn++) {
        struct client *client = &clients[load->turn % client_count];
        if (client->request != SIZE_MAX) {
            continue;
        }
        send_next(load, client);
        if (client->request == SIZE_MAX) {
            uint64_t now = clock_monotonic_ns();
            uint64_t due = load->start_ns + load->next * load->interval_ns;
            *pause = (struct timespec){.tv_nsec = due > now ? (long)(due - now) : 0};
            return load->next < load->count ? pause : NULL;
        }
    }
    return NULL;
}

static void run(struct load *load, struct client *clients, size_t client_count)
{
    struct epoll_event events[256];
    struct timespec pause;
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    load->start_ns = clock_monotonic_ns();
    for (size_t i = 0; i < client_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        (void)epoll_ctl(load->epoll, EPOLL_CTL_ADD, clients[i].socket, &event);
        send_next(load, &clients[i]);
    }
    while (load->answered < load->count) {
        int count = epoll_pwait2(load->epoll, events, 256, send_due(load, clients, client_count, &pause), NULL);
        for (int i = 0; i < count; i++) {
            on_readable(load, events[i].data.ptr);
        }
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const struct load *load, double part)
{
    return (double)load->latencies[(size_t)((double)(load->count - 1) * part)] / 1e6;
}

static void report(struct load *load)
{
    double seconds = (double)(clock_monotonic_ns() - load->start_ns) / 1e9;
    qsort(load->latencies, load->count, sizeof(*load->latencies), compare);
    printf("{\"requests\":%zu,\"ok\":%zu,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_"
           "ms\":%.3f}\n",
           load->count, load->ok, seconds, (double)load->count / seconds, percentile(load, 0.5), percentile(load, 0.99),
           percentile(load, 0.999));
}

static struct client *connect_clients(const struct target *target, size_t count)
{
    struct client *clients = calloc(count, sizeof(*clients));
    for (size_t i = 0; clients && i < count; i++) {
        clients[i].socket = connect_to(target);
        if (clients[i].socket < 0) {
            die("connect");
        }
    }
    return clients;
}

static struct target target_of(char **words)
{
    return (struct target){.host = words[0], .port = (int)strtol(words[1], NULL, 10), .path = words[2]};
}

/* HOST PORT PATH CONNECTIONS REQUESTS [RATE [bad]] */
static int load_main(int count, char **words)
{
    struct target target = target_of(words);
    size_t client_count = strtoul(words[3], NULL, 10);
    unsigned long rate = count > 5 ? strtoul(words[5], NULL, 10) : 0;
    struct load load = {.epoll = epoll_create1(0), .interval_ns = rate ? 1000000000 / rate : 0};
    make_requests(&load, &target, strtoul(words[4], NULL, 10), count > 6 && strcmp(words[6], "bad") == 0);
    struct client *clients = connect_clients(&target, client_count);
    run(&load, clients, client_count);
    report(&load);
    return 0;
}

/* ---- idle connections */

static void start_tls(SSL_CTX *context, struct client *client)
{
    client->tls = SSL_new(context);
    if (!client->tls || SSL_set_fd(client->tls, client->socket) != 1 || SSL_connect(client->tls) != 1) {
        die("TLS");
    }
}

/* HOST PORT PATH CONNECTIONS [tls] */
static int idle_main(int count, char **words)
{
    struct target target = target_of(words);
    size_t client_count = strtoul(words[3], NULL, 10);
    SSL_CTX *context = count > 4 && strcmp(words[4], "tls") == 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
    struct load load = {0};
    struct client *clients = calloc(client_count, sizeof(*clients));
    make_requests(&load, &target, client_count, false);
    for (size_t i = 0; clients && i < client_count; i++) {
        clients[i].socket = connect_to(&target);
        if (clients[i].socket < 0) {
            die("connect");
        }
        if (context) {
            start_tls(context, &clients[i]);
        }
        if (!exchange(&load, &clients[i], i)) {
            die("an answer is not 200");
        }
    }
    printf("{\"connections\":%zu}\n", client_count);
    (void)fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}

/* ---- a server's start */

static pid_t start_server(int processor, char **command)
{
    pid_t server = fork();
    if (server < 0) {
        die("fork");
    }
    if (server == 0) {
        cpu_set_t processors;
        CPU_ZERO(&processors);
        CPU_SET((size_t)processor, &processors);
        (void)sched_setaffinity(0, sizeof(processors), &processors);
        (void)execvp(command[0], command);
        _exit(127);
    }
    return server;
}

static bool answers(const struct load *load, const struct target *target)
{
    struct client client = {.socket = connect_to(target)};
    bool ok = client.socket >= 0 && exchange(load, &client, 0);
    if (client.socket >= 0) {
        (void)close(client.socket);
    }
    return ok;
}

/* PROCESSOR HOST PORT PATH COMMAND [WORD...] */
static int start_main(char **words)
{
    struct target target = target_of(words + 1);
    struct timespec pause = {.tv_nsec = START_PAUSE_NS};
    struct load load = {0};
    make_requests(&load, &target, 1, false);
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    if (answers(&load, &target)) {
        (void)fputs("load: there is a server already\n", stderr);
        return 1;
    }
    uint64_t begin = clock_monotonic_ns();
    pid_t server = start_server((int)strtol(words[0], NULL, 10), words + 4);
    bool started = false;
    bool ended = false;
    while (!started && !ended && clock_monotonic_ns() - begin < START_DEADLINE_NS) {
        (void)nanosleep(&pause, NULL);
        started = answers(&load, &target);
        ended = waitpid(server, NULL, WNOHANG) != 0;
    }
    double milliseconds = (double)(clock_monotonic_ns() - begin) / 1e6;
    if (!ended) {
        (void)kill(server, SIGTERM);
        (void)waitpid(server, NULL, 0);
    }
    if (!started) {
        (void)fputs("load: the server did not start\n", stderr);
        return 1;
    }
    printf("{\"start_ms\":%.3f}\n", milliseconds);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 6 && strcmp(argv[1], "idle") == 0) {
        return idle_main(argc - 2, argv + 2);
    }
    if (argc >= 7 && strcmp(argv[1], "start") == 0) {
        return start_main(argv + 2);
    }
    if (argc >= 6) {
        return load_main(argc - 1, argv + 1);
    }
    (void)fputs("usage: load HOST PORT PATH CONNECTIONS REQUESTS [RATE [bad]]\n"
                "       load idle HOST PORT PATH CONNECTIONS [tls]\n"
                "       load start PROCESSOR HOST PORT PATH COMMAND [WORD...]\n",
                stderr);
    return 2;
}
