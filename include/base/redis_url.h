#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/secret.h"
#include "base/text.h"

/*
 * Where Redis is:  redis://[[user]:password@]host[:port][/db]
 *                  rediss://…                             the same over TLS
 *                  unix:///path/to/socket[?db=0]          also unix://user:password@/path
 *
 * User and password are percent-decoded. {0} is an empty one.
 */
struct redis_url {
    bool tls;
    char *host; /* NULL for a unix socket */
    uint16_t port;
    char *path; /* the unix socket's path, or NULL */
    unsigned database;
    char *username; /* NULL: none */
    struct secret password;
};

/* 0, -EINVAL (not such a URL) or -ENOMEM; on failure *url is empty. */
MUST_CHECK int redis_url_parse(struct text text, struct redis_url *url);

/* Gives everything back, overwriting the password. Twice is fine. */
void redis_url_free(struct redis_url *url);
