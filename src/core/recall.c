#include "core/recall.h"

#include <stdbool.h>

static void write_name(struct buffer *to, const struct recall_name *name)
{
    buffer_append(to, name->account);
    buffer_append_byte(to, ' ');
    buffer_append(to, name->session);
}

static bool is_of(const struct recall_answer *answer, const struct recall_name *name)
{
    struct text rest = buffer_text(&answer->name);
    return text_take_prefix(&rest, name->account) && text_take_prefix(&rest, TEXT(" ")) &&
           text_equal(rest, name->session);
}

static void forget(struct recall_answer *answer)
{
    buffer_free(&answer->name);
    buffer_wipe(&answer->body);
}

static void forget_old(struct recall *recall, uint64_t now_ms)
{
    for (size_t i = 0; i < RECALL_ANSWERS; i++) {
        if (now_ms > recall->answers[i].came_ms + RECALL_AGE_MS) {
            forget(&recall->answers[i]);
        }
    }
}

void recall_keep(struct recall *recall, const struct recall_name *name, struct recall_times times, struct text body)
{
    struct recall_answer *answer = &recall->answers[recall->next];
    recall->next = (recall->next + 1) % RECALL_ANSWERS;
    forget_old(recall, times.now_ms);
    forget(answer);
    answer->asked_ms = times.redis_ms;
    answer->came_ms = times.now_ms;
    write_name(&answer->name, name);
    buffer_append(&answer->body, body);
    if (buffer_status(&answer->name) < 0 || buffer_status(&answer->body) < 0) {
        forget(answer);
    }
}

struct text recall_find(struct recall *recall, const struct recall_name *name, struct recall_times times)
{
    forget_old(recall, times.now_ms);
    for (size_t i = 0; i < RECALL_ANSWERS; i++) {
        const struct recall_answer *answer = &recall->answers[i];
        if (answer->asked_ms > times.redis_ms && is_of(answer, name)) {
            return buffer_text(&answer->body);
        }
    }
    return (struct text){0};
}

void recall_clear(struct recall *recall)
{
    for (size_t i = 0; i < RECALL_ANSWERS; i++) {
        forget(&recall->answers[i]);
    }
}
