#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "store/queue.h"

/* Questions that a doctor asks Redis: a command's answer as text, and whether its user may do what is needed. */
struct question {
    struct redis_call call;
    /* `answer`: a string or a number as it is; of an array its strings and numbers, one on each line. Lent until it
     * returns. `error`: NULL; or what Redis says instead, "": nothing. */
    void (*callback)(struct question *question, struct text answer, const char *error);
};

/* Both return 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM. */
MUST_CHECK int question_ask(struct queue *queue, struct question *question, size_t count, const struct text *words);

/* Tries every command that is needed, on scratch keys. The answer is what Redis refuses, empty when nothing. */
MUST_CHECK int question_ask_rights(struct queue *queue, struct question *question);
