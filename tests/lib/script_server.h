#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

/*
 * A TCP server on 127.0.0.1 whose behaviour a test writes down as a function: it is called for each connection, on a
 * thread of its own, and the connection is closed when it returns. Made for misbehaving.
 */
struct script_server;

/* One connection, lent to the script. */
struct script_peer {
    struct script_server *server;
    int number; /* 0: the first connection */
    int fd;
    SSL *tls; /* NULL: in clear text */
    char unread[4096];
    size_t unread_start, unread_end;
};

typedef void script_function(struct script_peer *peer, void *context);

/* `identity`: NULL, or what connections are to speak TLS with, from their start or from script_start_tls() on. */
struct script_server *script_server_start(script_function *script, void *context, SSL_CTX *identity, bool tls_at_once);

/* Closes all connections and waits for the scripts. */
void script_server_stop(struct script_server *server);

int script_server_port(const struct script_server *server);
int script_server_connections(struct script_server *server); /* ever accepted */
int script_server_open_connections(struct script_server *server);
int script_server_most_at_once(struct script_server *server);

/* For scripts. Reading returns false when the client has gone. */
bool script_line(struct script_peer *peer, char *line, size_t size); /* without its line end */
bool script_bytes(struct script_peer *peer, char *bytes, size_t count);
bool script_start_tls(struct script_peer *peer);
void script_say(struct script_peer *peer, const char *text);
void script_pause(int milliseconds);
void script_wait_for_end(struct script_peer *peer); /* until the client closes, or the server is stopped */
void script_reset(struct script_peer *peer);        /* the client gets RST when the script returns */
