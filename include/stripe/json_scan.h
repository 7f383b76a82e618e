#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * A strict JSON reader for the ingest path: one pass that proves the whole document valid (RFC 8259, in UTF-8 by RFC
 * 3629) and picks out a few members on the way. It allocates nothing and copies nothing.
 *
 * Strict: no byte order mark, no lone surrogate escape, nothing behind the document, at most 64 levels. Member names
 * are compared as they are written, so a wanted name that is spelled with \u escapes is not found. Of members with the
 * same name the last one counts, as in JavaScript.
 */
#define JSON_SCAN_DEPTH 64
#define JSON_SCAN_WANTS 16

enum json_kind {
    SCANNED_ABSENT,
    SCANNED_NULL,
    SCANNED_FALSE,
    SCANNED_TRUE,
    SCANNED_NUMBER,
    SCANNED_STRING,
    SCANNED_ARRAY,
    SCANNED_OBJECT
};

struct json_value {
    enum json_kind kind;
    struct text text; /* STRING: between the quotes, as written; NUMBER: as written; else empty */
    bool escaped;     /* STRING: there are escapes in it */
};

/* A member to pick out, by the names that lead to it from the outermost object: {{"data"}, {"object"}, {"id"}}. */
struct json_path {
    struct text names[4];
    size_t count;
};

#define JSON_SCAN_INVALID 1

/*
 * Scans `json` and fills values[i] for paths[i]; a path that leads nowhere gives SCANNED_ABSENT. `count` is at most
 * JSON_SCAN_WANTS. The texts borrow from `json`.
 *
 * 0 or JSON_SCAN_INVALID.
 */
MUST_CHECK int json_scan(struct text json, const struct json_path *paths, size_t count, struct json_value *values);
