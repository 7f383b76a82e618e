#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "cli/errand.h"
#include "store/search.h"

/* The results of a search one after another, over as many pages as it takes. */
enum walk_step {
    WALK_RECORD, /* here is one */
    WALK_END,    /* there are no more; or the budget is used up: walk.cut */
    WALK_FAILED, /* told on standard error */
};

#define WALK_ID_SIZE 48

struct walk {
    struct errand *errand;
    struct search_query query;
    size_t budget; /* how many entries may be looked at; 0: all */
    size_t looked;
    bool cut; /* there is more that was not looked at */

    /* The rest is its own. */
    char from[WALK_ID_SIZE];
    char next[WALK_ID_SIZE];
    struct list records;
    struct search_call call;
    bool answered;
    bool failed;
};

/* What `query` points at outlives the walk; its `look` is seen to here. */
void walk_begin(struct walk *walk, struct errand *errand, const struct search_query *query, size_t budget);

/* WALK_RECORD: *record is the caller's, to be freed with free(). */
MUST_CHECK enum walk_step walk_next(struct walk *walk, struct record **record);

/* Drops what was not fetched by walk_next(). */
void walk_end(struct walk *walk);
