#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"

/* The part of a URL that says which server is meant: "example.com", "example.com:8080", "[::1]:8080". */
struct authority {
    struct text host; /* borrowed; without the brackets of an IPv6 address */
    uint16_t port;
};

/*
 * Reads one; `default_port` is the port when none is written. 0, or -EINVAL: no host, a byte that no host name has, a
 * bracketed host that is not an IPv6 address, or a port that is not 1 to 65535. A login ("user@") is not part of it.
 */
MUST_CHECK int authority_parse(struct text text, uint16_t default_port, struct authority *authority);
