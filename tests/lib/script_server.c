#include "script_server.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAXIMUM 512

struct script_server {
    script_function *script;
    void *context;
    SSL_CTX *identity;
    bool tls_at_once;
    int fd;
    int port;
    pthread_t acceptor;
    pthread_t threads[PEERS_MAXIMUM];
    pthread_mutex_t lock; /* of what follows */
    int fds[PEERS_MAXIMUM];
    int connections;
    int at_once;
    int most_at_once;
    bool stopping;
};

static void *serve(void *context)
{
    struct script_peer *peer = context;
    struct script_server *server = peer->server;
    if (!server->tls_at_once || script_start_tls(peer)) {
        server->script(peer, server->context);
    }
    pthread_mutex_lock(&server->lock);
    server->fds[peer->number] = -1;
    server->at_once--;
    close(peer->fd); /* without a farewell of TLS: scripts are rude */
    pthread_mutex_unlock(&server->lock);
    SSL_free(peer->tls);
    free(peer);
    return NULL;
}

static void admit(struct script_server *server, int fd)
{
    struct script_peer *peer = calloc(1, sizeof(*peer));
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    peer->server = server;
    peer->fd = fd;
    pthread_mutex_lock(&server->lock);
    peer->number = server->connections++;
    server->fds[peer->number] = fd;
    server->at_once++;
    if (server->at_once > server->most_at_once) {
        server->most_at_once = server->at_once;
    }
    pthread_mutex_unlock(&server->lock);
    pthread_create(&server->threads[peer->number], NULL, serve, peer);
}

static void *accept_all(void *context)
{
    struct script_server *server = context;
    int fd;
    while (server->connections < PEERS_MAXIMUM && (fd = accept(server->fd, NULL, NULL)) >= 0) {
        admit(server, fd);
    }
    return NULL;
}

struct script_server *script_server_start(script_function *script, void *context, SSL_CTX *identity, bool tls_at_once)
{
    struct script_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    server->script = script;
    server->context = context;
    server->identity = identity;
    server->tls_at_once = tls_at_once;
    pthread_mutex_init(&server->lock, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = bind(server->fd, (struct sockaddr *)&address, sizeof(address));
    status = status == 0 ? listen(server->fd, 128) : status;
    status = status == 0 ? getsockname(server->fd, (struct sockaddr *)&address, &length) : status;
    assert(status == 0);
    (void)status;
    server->port = ntohs(address.sin_port);
    pthread_create(&server->acceptor, NULL, accept_all, server);
    return server;
}

void script_server_stop(struct script_server *server)
{
    shutdown(server->fd, SHUT_RDWR); /* accept() returns */
    pthread_join(server->acceptor, NULL);
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    for (int i = 0; i < server->connections; i++) {
        if (server->fds[i] >= 0) {
            shutdown(server->fds[i], SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < server->connections; i++) {
        pthread_join(server->threads[i], NULL);
    }
    close(server->fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int script_server_port(const struct script_server *server)
{
    return server->port;
}

static int locked(struct script_server *server, const int *number)
{
    pthread_mutex_lock(&server->lock);
    int value = *number;
    pthread_mutex_unlock(&server->lock);
    return value;
}

int script_server_connections(struct script_server *server)
{
    return locked(server, &server->connections);
}

int script_server_open_connections(struct script_server *server)
{
    return locked(server, &server->at_once);
}

int script_server_most_at_once(struct script_server *server)
{
    return locked(server, &server->most_at_once);
}

/* ---- for scripts */

bool script_start_tls(struct script_peer *peer)
{
    peer->tls = SSL_new(peer->server->identity);
    SSL_set_fd(peer->tls, peer->fd);
    return SSL_accept(peer->tls) == 1;
}

static bool fill(struct script_peer *peer)
{
    if (peer->unread_start < peer->unread_end) {
        return true;
    }
    ssize_t count = peer->tls ? SSL_read(peer->tls, peer->unread, sizeof(peer->unread))
                              : recv(peer->fd, peer->unread, sizeof(peer->unread), 0);
    peer->unread_start = 0;
    peer->unread_end = count > 0 ? (size_t)count : 0;
    return count > 0;
}

bool script_bytes(struct script_peer *peer, char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!fill(peer)) {
            return false;
        }
        bytes[i] = peer->unread[peer->unread_start++];
    }
    return true;
}

bool script_line(struct script_peer *peer, char *line, size_t size)
{
    size_t length = 0;
    char byte;
    while (script_bytes(peer, &byte, 1)) {
        if (byte == '\n') {
            line[length > 0 && line[length - 1] == '\r' ? length - 1 : length] = '\0';
            return true;
        }
        if (length + 1 < size) {
            line[length++] = byte;
        }
    }
    line[length] = '\0';
    return false;
}

void script_say(struct script_peer *peer, const char *text)
{
    size_t length = strlen(text);
    if (peer->tls) {
        (void)SSL_write(peer->tls, text, (int)length);
        return;
    }
    while (length > 0) {
        ssize_t sent = send(peer->fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text += sent;
        length -= (size_t)sent;
    }
}

void script_pause(int milliseconds)
{
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

void script_wait_for_end(struct script_peer *peer)
{
    char byte;
    while (script_bytes(peer, &byte, 1)) {
    }
}

void script_reset(struct script_peer *peer)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}
