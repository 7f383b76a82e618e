#include "base/log.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"

#define VALUE_LEAST 16 /* bytes of a value that are never cut away */

static enum log_format configured_format = LOG_FORMAT_TEXT;
static enum log_level least_level = LOG_INFO;
static _Atomic uint64_t dropped_lines;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

void log_configure(enum log_format format, enum log_level least)
{
    configured_format = format;
    least_level = least;
}

bool log_is_on(enum log_level level)
{
    return level >= least_level;
}

static void append_time(struct buffer *line)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm parts;
    char text[32];
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    buffer_append_format(line, "%s.%03dZ", text, (int)(now % 1000));
}

/* Text lines quote a value only when it would not read back as one word. */
static bool needs_quotes(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= ' ' || byte == '"' || byte == '\\' || byte == '=' || byte >= 0x7f) {
            return true;
        }
    }
    return text.length == 0;
}

/* At most `limit` bytes of it, cut between characters. */
static struct text cut_value(struct text text, size_t limit)
{
    if (text.length > limit) {
        text.length = limit;
        while (text.length > 0 && ((unsigned char)text.data[text.length] & 0xc0) == 0x80) {
            text.length--;
        }
    }
    return text;
}

static void append_quoted(struct buffer *line, struct text text, size_t limit)
{
    struct text value = cut_value(text, limit);
    buffer_append_byte(line, '"');
    buffer_append_json(line, value);
    buffer_append_string(line, value.length < text.length ? "…\"" : "\"");
}

static void append_text_field(struct buffer *line, const struct log_field *field, size_t limit)
{
    buffer_append_format(line, " %s=", field->name);
    if (field->kind == LOG_FIELD_NUMBER) {
        buffer_append_format(line, "%" PRId64, field->number);
    } else if (needs_quotes(field->text) || field->text.length > limit) {
        append_quoted(line, field->text, limit);
    } else {
        buffer_append(line, field->text);
    }
}

static void append_json_field(struct buffer *line, const struct log_field *field, size_t limit)
{
    buffer_append_format(line, ",\"%s\":", field->name);
    if (field->kind == LOG_FIELD_NUMBER) {
        buffer_append_format(line, "%" PRId64, field->number);
    } else {
        append_quoted(line, field->text, limit);
    }
}

struct record {
    enum log_level level;
    const char *message;
    const struct log_field *fields;
    size_t count;
};

/* The whole line, with at most `limit` bytes of each value. */
static void write_line(struct buffer *line, const struct record *record, size_t limit)
{
    bool json = configured_format == LOG_FORMAT_JSON;
    buffer_append_string(line, json ? "{\"time\":\"" : "");
    append_time(line);
    if (json) {
        buffer_append_format(line, "\",\"level\":\"%s\",\"message\":", level_names[record->level]);
        append_quoted(line, text_of(record->message), limit);
    } else {
        buffer_append_format(line, " %s %s", level_labels[record->level], record->message);
    }
    for (size_t i = 0; i < record->count; i++) {
        if (json) {
            append_json_field(line, &record->fields[i], limit);
        } else {
            append_text_field(line, &record->fields[i], limit);
        }
    }
    buffer_append_string(line, json ? "}\n" : "\n");
}

/*
 * Hands the line over if that does not block: a pipe that polls as writable takes PIPE_BUF bytes at once. Between poll
 * and write no other thread may use that room up.
 */
static bool hand_over(struct text line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd descriptor = {.fd = STDERR_FILENO, .events = POLLOUT};
    pthread_mutex_lock(&lock);
    bool taken = poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLOUT) &&
                 write(STDERR_FILENO, line.data, line.length) == (ssize_t)line.length;
    pthread_mutex_unlock(&lock);
    return taken;
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    struct record record = {.level = level, .message = message, .fields = fields, .count = count};
    struct buffer line = {0};
    size_t limit = PIPE_BUF;
    write_line(&line, &record, limit);
    while (line.length > PIPE_BUF && limit > VALUE_LEAST) {
        limit /= 2;
        buffer_clear(&line);
        write_line(&line, &record, limit);
    }
    if (buffer_status(&line) < 0 || !hand_over(buffer_text(&line))) {
        atomic_fetch_add_explicit(&dropped_lines, 1, memory_order_relaxed);
    }
    buffer_free(&line);
}

bool log_limit_pass(struct log_limit *limit, uint64_t interval_ms, uint64_t *suppressed)
{
    uint64_t now = clock_monotonic_ms();
    uint64_t next = atomic_load_explicit(&limit->next_ms, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong_explicit(&limit->next_ms, &next, now + interval_ms,
                                                               memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *suppressed = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
    return true;
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped_lines, memory_order_relaxed);
}
