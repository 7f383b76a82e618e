#pragma once

#include <openssl/ssl.h>

/* A key and a certificate signed by itself, for a server in a test; and the certificate in a file, for who trusts it.
 */
struct tls_identity {
    SSL_CTX *server;
    char file[64];
};

/* `name`: as in "IP:127.0.0.1" or "DNS:localhost". */
void tls_identity_create(struct tls_identity *identity, const char *name);
void tls_identity_free(struct tls_identity *identity);
