#pragma once

#include <stdint.h>

#include "base/attributes.h"

/* From when until when a certificate is valid: seconds since 1970. */
struct certificate_validity {
    int64_t from_s;
    int64_t until_s;
};

/* Of the first certificate in the PEM file at `path`. 0, or -EINVAL: it has none that can be read. */
MUST_CHECK int certificate_read_validity(const char *path, struct certificate_validity *validity);
