/*
 * A load generator for webhook endpoints: signed, unique events over keep-alive connections.
 *
 *   load HOST PORT PATH CONNECTIONS REQUESTS [RATE [MODE]]
 *
 * Everything is made before the clock starts: bodies of about 2.9 KB, each with its own event id and its own signature
 * by STRIPE_WEBHOOK_SECRET. Each connection sends its next request when the last is answered; with RATE (requests a
 * second, for all together) not before its moment, and latencies then count from that moment, so that a stalled server
 * is not spared. MODE "bad" breaks the signatures. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "stripe/signature.h"

#define BODY_BYTES 2900
#define STRIDE 4096 /* bytes kept per request */

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
};

struct client {
    int socket;
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

static void make_requests(struct load *load, const char *host, const char *path, bool bad)
{
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
            path, host, body.length, header.data, body.data);
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

static int connect_to(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(client, (struct sockaddr *)&address, sizeof(address)) < 0) {
        die("connect");
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return client;
}

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
    size_t length = load->lengths[client->request];
    if (send(client->socket, load->requests + client->request * STRIDE, length, MSG_NOSIGNAL) != (ssize_t)length) {
        die("send");
    }
}

/* True when the whole answer is here. */
static bool is_whole(const struct client *client)
{
    const char *end = strstr(client->answer, "\r\n\r\n");
    const char *length = end ? strstr(client->answer, "ontent-Length: ") : NULL;
    length = end && !length ? strstr(client->answer, "ontent-length: ") : length;
    return length && client->answer_length >= (size_t)(end - client->answer) + 4 + strtoul(length + 15, NULL, 10);
}

static void on_readable(struct load *load, struct client *client)
{
    ssize_t length = recv(client->socket, client->answer + client->answer_length,
                          sizeof(client->answer) - 1 - client->answer_length, 0);
    if (length <= 0) {
        die("the server hung up");
    }
    client->answer_length += (size_t)length;
    client->answer[client->answer_length] = '\0';
    if (!is_whole(client)) {
        return;
    }
    load->latencies[load->answered++] = clock_monotonic_ns() - client->sent_ns;
    load->ok += strncmp(client->answer + 9, "200", 3) == 0;
    client->answer_length = 0;
    send_next(load, client);
}

/* ---- the run */

static void run(struct load *load, struct client *clients, size_t client_count)
{
    struct epoll_event events[256];
    load->start_ns = clock_monotonic_ns();
    for (size_t i = 0; i < client_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        (void)epoll_ctl(load->epoll, EPOLL_CTL_ADD, clients[i].socket, &event);
        send_next(load, &clients[i]);
    }
    size_t turn = 0;
    while (load->answered < load->count) {
        int count = epoll_wait(load->epoll, events, 256, load->interval_ns ? 0 : -1);
        for (int i = 0; i < count; i++) {
            on_readable(load, events[i].data.ptr);
        }
        /* With a rate, idle connections wait for their moment: the next few are offered it in turn. */
        for (size_t i = 0; load->interval_ns && i < client_count; i++, turn++) {
            struct client *client = &clients[turn % client_count];
            if (client->request == SIZE_MAX) {
                send_next(load, client);
                if (client->request == SIZE_MAX) {
                    break;
                }
            }
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

int main(int argc, char **argv)
{
    if (argc < 6) {
        (void)fputs("usage: load HOST PORT PATH CONNECTIONS REQUESTS [RATE [bad]]\n", stderr);
        return 2;
    }
    size_t client_count = strtoul(argv[4], NULL, 10);
    struct load load = {.count = strtoul(argv[5], NULL, 10), .epoll = epoll_create1(0)};
    unsigned long rate = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
    load.interval_ns = rate ? 1000000000 / rate : 0;
    load.requests = malloc(load.count * STRIDE);
    load.lengths = calloc(load.count, sizeof(*load.lengths));
    load.latencies = calloc(load.count, sizeof(*load.latencies));
    struct client *clients = calloc(client_count, sizeof(*clients));
    make_requests(&load, argv[1], argv[3], argc > 7 && strcmp(argv[7], "bad") == 0);
    for (size_t i = 0; i < client_count; i++) {
        clients[i].socket = connect_to(argv[1], (int)strtol(argv[2], NULL, 10));
    }
    run(&load, clients, client_count);
    double seconds = (double)(clock_monotonic_ns() - load.start_ns) / 1e9;
    qsort(load.latencies, load.count, sizeof(*load.latencies), compare);
    printf("{\"requests\":%zu,\"ok\":%zu,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_"
           "ms\":%.3f}\n",
           load.count, load.ok, seconds, (double)load.count / seconds, percentile(&load, 0.5), percentile(&load, 0.99),
           percentile(&load, 0.999));
    return 0;
}
