#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"

/* Where to listen: a numeric IPv4 or IPv6 address and a port; port 0 lets the system choose a free one. */
struct endpoint {
    char host[64];
    uint16_t port;
};

/* Reads "127.0.0.1:4242" or "[::1]:4242". 0 or -EINVAL. */
MUST_CHECK int endpoint_parse(struct text text, struct endpoint *endpoint);
