#pragma once

#include <stdbool.h>

#include <uv.h>

/* The one loop of a test, which is turned until what is awaited has come. */
extern uv_loop_t loop;

void loop_open(void);

/* Nothing else may be left on it. */
void loop_close(void);

/* Fails the test when `condition` does not come true in 20 seconds. */
#define TURN_UNTIL(condition)                                                                                          \
    do {                                                                                                               \
        loop_expect();                                                                                                 \
        while (!(condition)) {                                                                                         \
            (void)uv_run(&loop, UV_RUN_ONCE);                                                                          \
        }                                                                                                              \
        loop_relax();                                                                                                  \
    } while (0)

/* Closes something by its function, and turns until that is done. */
#define CLOSE(close, object)                                                                                           \
    do {                                                                                                               \
        bool loop_closed = false;                                                                                      \
        close(object, loop_on_closed, &loop_closed);                                                                   \
        TURN_UNTIL(loop_closed);                                                                                       \
    } while (0)

/* For `closed` callbacks; `context` is a bool, which becomes true. */
void loop_on_closed(void *context);

void loop_expect(void);
void loop_relax(void);
