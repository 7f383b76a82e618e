#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/list.h"
#include "base/text.h"

struct redisReply;

/* A stream's entry, of whatever stream, as an operator looks at it: its id and its fields. */
struct record_field {
    struct text name;
    struct text value;
};

struct record {
    struct list link; /* for whoever holds it */
    struct text id;   /* "1793268500123-0" */
    size_t field_count;
    struct record_field *fields; /* each text is followed by a NUL */
};

#define RECORD_GONE 1 /* it is no entry */

/* Copies { id, { field, value … } } into a fresh record, to be freed with free(). 0, RECORD_GONE, or -ENOMEM. */
MUST_CHECK int record_read(const struct redisReply *reply, struct record **record);

/* The field's value; empty when there is none. */
struct text record_value(const struct record *record, const char *name);

/* The same as a number; -1 when it is none. */
int64_t record_number(const struct record *record, const char *name);

/* When the entry was added, by its id: ms since 1970. */
int64_t record_time(const struct record *record);
