#include "base/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define FILE_MAXIMUM (1u << 20)

struct pair {
    struct pair *next;
    char *name;
    char *value;
};

struct environment {
    struct pair *pairs; /* of the --env-file; the process's own environment is asked first */
};

static int read_all(int file, struct buffer *content)
{
    for (;;) {
        int status = buffer_reserve(content, 4096);
        if (status < 0) {
            return status;
        }
        ssize_t length = read(file, content->data + content->length, 4096);
        if (length <= 0) {
            return length < 0 ? -errno : 0;
        }
        content->length += (size_t)length;
        content->data[content->length] = '\0';
        if (content->length > FILE_MAXIMUM) {
            return -EFBIG;
        }
    }
}

int environment_read_file(const char *path, struct buffer *content)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return -errno;
    }
    int status = read_all(file, content);
    (void)close(file);
    return status;
}

int environment_read_input(struct buffer *content)
{
    return read_all(STDIN_FILENO, content);
}

static struct text unquote(struct text value)
{
    bool quoted = value.length >= 2 && (value.data[0] == '"' || value.data[0] == '\'') &&
                  value.data[value.length - 1] == value.data[0];
    return quoted ? (struct text){.data = value.data + 1, .length = value.length - 2} : value;
}

static bool is_name(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
        if (!letter && !(i > 0 && byte >= '0' && byte <= '9')) {
            return false;
        }
    }
    return text.length > 0;
}

static int add_line(struct environment *environment, struct text line)
{
    line = text_trim(line);
    if (line.length == 0 || line.data[0] == '#') {
        return 0;
    }
    if (text_starts_with(line, TEXT("export "))) {
        line = text_trim((struct text){.data = line.data + 7, .length = line.length - 7});
    }
    struct text value = line;
    struct text name = text_trim(text_cut(&value, '='));
    if (!value.data || !is_name(name)) {
        return ENVIRONMENT_MALFORMED;
    }
    value = unquote(text_trim(value));
    struct pair *pair = calloc(1, sizeof(*pair));
    if (!pair) {
        return -ENOMEM;
    }
    pair->name = text_copy(name);
    pair->value = text_copy(value);
    pair->next = environment->pairs;
    environment->pairs = pair;
    return pair->name && pair->value ? 0 : -ENOMEM;
}

static int read_lines(struct environment *environment, struct text content, unsigned *line_number)
{
    *line_number = 0;
    while (content.data) {
        struct text line = text_cut(&content, '\n');
        (*line_number)++;
        if (line.length > 0 && line.data[line.length - 1] == '\r') {
            line.length--;
        }
        int status = add_line(environment, line);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

int environment_open(const char *env_file, struct environment **opened, unsigned *line_number)
{
    struct environment *environment = calloc(1, sizeof(*environment));
    if (!environment) {
        return -ENOMEM;
    }
    *opened = environment;
    *line_number = 0;
    if (!env_file) {
        return 0;
    }
    struct buffer content = {0};
    int status = environment_read_file(env_file, &content);
    if (status == 0 && content.data) {
        status = read_lines(environment, buffer_text(&content), line_number);
    }
    buffer_wipe(&content);
    return status;
}

void environment_close(struct environment *environment)
{
    if (!environment) {
        return;
    }
    while (environment->pairs) {
        struct pair *pair = environment->pairs;
        environment->pairs = pair->next;
        if (pair->value) {
            OPENSSL_cleanse(pair->value, strlen(pair->value));
        }
        free(pair->value);
        free(pair->name);
        free(pair);
    }
    free(environment);
}

const char *environment_value(const struct environment *environment, const char *name)
{
    const char *value = getenv(name);
    for (const struct pair *pair = environment->pairs; pair && !value; pair = pair->next) {
        if (strcmp(pair->name, name) == 0) {
            value = pair->value;
        }
    }
    return value;
}

extern char **environ;

void environment_each_name(const struct environment *environment, void (*visit)(void *context, struct text name),
                           void *context)
{
    for (char **entry = environ; entry && *entry; entry++) {
        struct text rest = text_of(*entry);
        visit(context, text_cut(&rest, '='));
    }
    for (const struct pair *pair = environment->pairs; pair; pair = pair->next) {
        visit(context, text_of(pair->name));
    }
}
