#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * One line per event on standard error. A line has a level, a message that is a constant, and fields:
 *
 *   log_info("event queued", LOG_TEXT("event", id), LOG_NUMBER("bytes", length));
 *
 *   text:  2026-11-24T10:00:00.123Z INFO  event queued event=evt_1 bytes=971
 *   json:  {"time":"2026-11-24T10:00:00.123Z","level":"info","message":"event queued","event":"evt_1","bytes":971}
 *
 * Fields carry identifiers, codes, counts and times. Secrets and personal data are never given to a log function: there
 * is no field kind that takes a struct secret, and event bodies, names and addresses have no business here.
 *
 * Each line is one write(2) of at most 4096 bytes, so that lines stay whole in a pipe that several write to; values
 * that would make it longer are cut and end in "…". Threads may log at the same time. A line that standard error will
 * not take at once is dropped and counted, so that a full pipe never stops the program.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *name; /* lower_snake_case */
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
    struct text text;
    int64_t number;
};

#define LOG_TEXT(field_name, value) ((struct log_field){.name = (field_name), .kind = LOG_FIELD_TEXT, .text = (value)})
#define LOG_STRING(field_name, value) LOG_TEXT(field_name, text_of(value))
#define LOG_NUMBER(field_name, value)                                                                                  \
    ((struct log_field){.name = (field_name), .kind = LOG_FIELD_NUMBER, .number = (int64_t)(value)})

/* Before any thread starts. The start values are text and LOG_INFO. */
void log_configure(enum log_format format, enum log_level least);

bool log_is_on(enum log_level level);

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);

/*
 * A repeating message: at most one line per `interval` and place; the next one says how many were left out.
 * Give it a static object.
 */
struct log_limit {
    _Atomic uint64_t next_ms;
    _Atomic uint64_t suppressed;
};

/* True when this line may be written now; *suppressed then tells how many were not since the last one. */
bool log_limit_pass(struct log_limit *limit, uint64_t interval_ms, uint64_t *suppressed);

/* Lines dropped because standard error did not take them. */
uint64_t log_dropped(void);

#define LOG_LINE(level, message, ...)                                                                                  \
    do {                                                                                                               \
        if (log_is_on(level)) {                                                                                        \
            const struct log_field log_fields[] = {__VA_ARGS__};                                                       \
            log_write(level, message, log_fields, sizeof(log_fields) / sizeof(log_fields[0]));                         \
        }                                                                                                              \
    } while (0)

/* At least one field each: a message without an identifier helps nobody at night. */
#define log_debug(message, ...) LOG_LINE(LOG_DEBUG, message, __VA_ARGS__)
#define log_info(message, ...) LOG_LINE(LOG_INFO, message, __VA_ARGS__)
#define log_warn(message, ...) LOG_LINE(LOG_WARN, message, __VA_ARGS__)
#define log_error(message, ...) LOG_LINE(LOG_ERROR, message, __VA_ARGS__)
