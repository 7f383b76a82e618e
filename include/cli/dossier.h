#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "cli/errand.h"
#include "store/search.h"
#include "store/trace.h"

/* Everything that the streams hold about one event, and of several: what explain goes by. */
#define DOSSIERS_MAXIMUM 200

struct dossier {
    struct list link;
    struct list records[SEARCH_STREAMS]; /* of struct record, as they were found */
    char event[256];
};

struct archive {
    struct errand *errand;
    struct list dossiers; /* of struct dossier; who was found first comes first */
    size_t count;
    size_t budget;     /* entries of each stream that may be looked at */
    bool cut;          /* there is more, in a stream or of events, than was looked at */
    int64_t oldest_ms; /* where it was cut: how far back it was looked */
};

/* {0} is an empty archive. To be closed in every case. */
void archive_open(struct archive *archive, struct errand *errand, size_t budget);
void archive_close(struct archive *archive);

/* Collects all about one event, whose mark is known (0: there is none), or about all events of a session. 0, or
 * COMMAND_FAILED: told. An event has its dossier even when nothing was found. */
MUST_CHECK int archive_collect_event(struct archive *archive, const char *event, int64_t mark_ms);
MUST_CHECK int archive_collect_session(struct archive *archive, const char *session);

/* The record of the kind that was added last; NULL when there is none. */
const struct record *dossier_latest(const struct dossier *dossier, enum search_stream stream);
