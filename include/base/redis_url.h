#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/secret.h"
#include "base/text.h"

/*
 * Where Redis is:  redis://[[user]:password@]host[:port][/db]
 *                  unix:///path/to/socket[?db=0]          also unix://user:password@/path
 *                  redis+sentinel://[…@]host[:port],…/master[?db=0&sentinel_username=…&sentinel_password=…]
 *                  redis+cluster://[…@]host[:port],…      any nodes of the cluster: the others are learnt from them
 *                  rediss://…, rediss+sentinel://…, rediss+cluster://…   the same over TLS
 *
 * User, password and values are percent-decoded. {0} is an empty one.
 */
enum redis_kind { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

#define REDIS_HOSTS_MAXIMUM 16

struct redis_host {
    char *name;
    uint16_t port;
};

struct redis_url {
    enum redis_kind kind;
    bool tls;
    struct redis_host hosts[REDIS_HOSTS_MAXIMUM]; /* the server, the sentinels or some nodes; none for a unix socket */
    size_t host_count;
    char *path;   /* the unix socket's path, or NULL */
    char *master; /* the name by which sentinels know it, or NULL */
    unsigned database;
    char *username; /* NULL: none */
    struct secret password;
    char *sentinel_username;
    struct secret sentinel_password;

    /* Not of the URL, but of settings of their own: for TLS. NULL: none. */
    char *ca;          /* PEM files: authorities to trust */
    char *certificate; /* ours, with its */
    char *key;
    char *server_name; /* whom the server's certificate must name, when that is not its host */
};

/* 0, -EINVAL (not such a URL) or -ENOMEM; on failure *url is empty. */
MUST_CHECK int redis_url_parse(struct text text, struct redis_url *url);

/* Gives everything back, overwriting the passwords. Twice is fine. */
void redis_url_free(struct redis_url *url);
