#include "cli/walk.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_AT_ONCE 100 /* 2 to 3 ms of Redis's time, in which it serves nobody else */

static void on_page(struct search_call *call, const struct search_page *page)
{
    struct walk *walk = CONTAINER_OF(call, struct walk, call);
    walk->answered = true;
    if (page->error) {
        walk->failed = true;
        (void)errand_fault(page->error);
        return;
    }
    LIST_EACH(page->records, member, following)
    {
        list_remove(member);
        list_append(&walk->records, member);
    }
    walk->looked += page->looked;
    (void)snprintf(walk->next, sizeof(walk->next), "%.*s", TEXT_ARGUMENTS(page->next));
}

void walk_begin(struct walk *walk, struct errand *errand, const struct search_query *query, size_t budget)
{
    *walk = (struct walk){.errand = errand, .query = *query, .budget = budget};
    list_init(&walk->records);
    (void)snprintf(walk->next, sizeof(walk->next), "%s", query->from);
    walk->call.callback = on_page;
}

static void fetch_page(struct walk *walk)
{
    size_t left = walk->budget > 0 ? walk->budget - walk->looked : LOOK_AT_ONCE;
    (void)snprintf(walk->from, sizeof(walk->from), "%s", walk->next);
    walk->query.from = walk->from;
    walk->query.look = left < LOOK_AT_ONCE ? left : LOOK_AT_ONCE;
    walk->answered = false;
    int status = search_start(walk->errand->queue, &walk->call, &walk->query);
    if (!errand_asked(walk->errand, status, &walk->answered)) {
        walk->failed = true;
    }
}

enum walk_step walk_next(struct walk *walk, struct record **record)
{
    while (list_is_empty(&walk->records) && !walk->failed && walk->next[0] != '\0') {
        if (walk->budget > 0 && walk->looked >= walk->budget) {
            walk->cut = true;
            return WALK_END;
        }
        fetch_page(walk);
    }
    struct list *first = list_first(&walk->records);
    if (!first) {
        return walk->failed ? WALK_FAILED : WALK_END;
    }
    list_remove(first);
    *record = LIST_OBJECT(first, struct record, link);
    return WALK_RECORD;
}

void walk_end(struct walk *walk)
{
    LIST_EACH(&walk->records, member, following)
    {
        list_remove(member);
        free(LIST_OBJECT(member, struct record, link));
    }
}
