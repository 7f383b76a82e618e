#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/dead.h"
#include "cli/moment.h"
#include "stripe/event.h"

void dead_options(struct argument *table, const struct argument *own)
{
    static const struct argument shared[] = {
        {.name = "type",
         .value_name = "TYPE",
         .help = "only of this type: verified, requires_input …, or the full name"},
        {.name = "with-reason", .value_name = "WORD", .help = "only with this reason, as dead list shows it"},
        {.name = "session", .value_name = "ID", .help = "only of this session (vs_…)"},
        {.name = "since", .value_name = "TIME", .help = "only those that died since: 24h (ago), or 2026-11-25T19:00Z"},
        {.name = "until", .value_name = "TIME", .help = "only those that died before"},
    };
    size_t count = 0;
    for (; own->name && count < DEAD_OPTIONS_MAXIMUM - 1; own++) {
        table[count++] = *own;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(shared) && count < DEAD_OPTIONS_MAXIMUM - 1; i++) {
        table[count++] = shared[i];
    }
    table[count] = (struct argument){.name = NULL};
}

static bool is_letter_id(const char *id)
{
    struct text rest = text_of(id);
    uint64_t number;
    return text_to_unsigned(text_cut(&rest, '-'), INT64_MAX, &number) == 0 && rest.data &&
           text_to_unsigned(rest, INT64_MAX, &number) == 0;
}

bool dead_is_id(const char *id)
{
    return is_letter_id(id) || event_is_id(text_of(id));
}

void dead_query_of(const char *id, struct search_query *query)
{
    *query = (struct search_query){.stream = SEARCH_DEAD, .from = "-", .to = "+", .give = SEARCH_LOOK_MAXIMUM};
    if (is_letter_id(id)) {
        query->from = id;
        query->to = id;
    } else {
        query->matches[query->match_count++] = (struct search_match){.field = "event", .value = id};
    }
}

static void match(struct dead_choice *choice, const char *field, const char *value)
{
    if (value) {
        choice->query.matches[choice->query.match_count++] = (struct search_match){.field = field, .value = value};
        choice->filtered = true;
    }
}

/* The full name of a short one. */
static const char *full_type(struct dead_choice *choice, const char *type)
{
    if (!type) {
        return NULL;
    }
    enum event_kind kind = event_kind_of(text_of(type));
    if (kind == EVENT_OTHER) {
        return type;
    }
    (void)snprintf(choice->type, sizeof(choice->type), EVENT_TYPE_PREFIX "%s", event_kind_name(kind));
    return choice->type;
}

/* A bound in time as a bound of ids: an id begins with the time at which the letter came. */
static int bound(const struct arguments *arguments, const char *name, int64_t offset, char id[40])
{
    const char *text = arguments_value(arguments, name);
    int64_t moment;
    if (!text) {
        return 0;
    }
    if (moment_parse(text_of(text), clock_wall_ms(), &moment) < 0) {
        return arguments_fault(arguments,
                               "--%s takes a time: 24h (so long ago), 2026-11-25 or 2026-11-25T19:30:00Z, not '%s'",
                               name, text);
    }
    (void)snprintf(id, 40, "%" PRId64, moment + offset > 0 ? moment + offset : 0);
    return 0;
}

int dead_choose(struct dead_choice *choice, const struct arguments *arguments, const char *reason)
{
    const char *with_reason = arguments_value(arguments, "with-reason");
    *choice = (struct dead_choice){.from = "-", .to = "+"};
    choice->query = (struct search_query){.stream = SEARCH_DEAD, .from = choice->from, .to = choice->to};
    match(choice, "type", full_type(choice, arguments_value(arguments, "type")));
    match(choice, "reason", with_reason ? with_reason : reason);
    match(choice, "session", arguments_value(arguments, "session"));
    int status = bound(arguments, "since", 0, choice->from);
    status = status == 0 ? bound(arguments, "until", -1, choice->to) : status;
    choice->filtered = choice->filtered || arguments_value(arguments, "since") || arguments_value(arguments, "until");
    return status;
}
