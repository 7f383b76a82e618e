#include "base/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define FILE_MAXIMUM (1u << 20)
#define FAULTS_MAXIMUM 10 /* beyond that it is another kind of file altogether */

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
        if (length < 0 && errno == EINTR) {
            continue;
        }
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

/* Drops the pair of quotes around *value; false when it has the first of them only. */
static bool unquote(struct text *value)
{
    if (value->length == 0 || (value->data[0] != '"' && value->data[0] != '\'')) {
        return true;
    }
    char quote = value->data[0];
    if (value->length < 2 || value->data[value->length - 1] != quote) {
        return false;
    }
    *value = (struct text){.data = value->data + 1, .length = value->length - 2};
    return true;
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

static int add_pair(struct environment *environment, struct text name, struct text value)
{
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

/* Takes one line. When it is no pair, *fault says why. */
static int add_line(struct environment *environment, struct text line, const char **fault)
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
        *fault = "is not NAME=VALUE";
        return 0;
    }
    value = text_trim(value);
    if (value.length > 0 && memchr(value.data, '\0', value.length)) {
        *fault = "has a NUL byte in it";
    } else if (!unquote(&value)) {
        *fault = "opens a quote that it does not close";
    }
    return *fault ? 0 : add_pair(environment, name, value);
}

static int read_lines(struct environment *environment, const char *path, struct text content, struct buffer *faults)
{
    unsigned number = 0;
    unsigned malformed = 0;
    while (content.data && malformed < FAULTS_MAXIMUM) {
        struct text line = text_cut(&content, '\n');
        if (line.length > 0 && line.data[line.length - 1] == '\r') {
            line.length--;
        }
        const char *fault = NULL;
        int status = add_line(environment, line, &fault);
        if (status < 0) {
            return status;
        }
        number++;
        if (fault) {
            malformed++;
            buffer_append_format(faults, "%s line %u %s; for example IDENTIHOOK_LISTEN=0.0.0.0:4242\n", path, number,
                                 fault);
        }
    }
    return malformed > 0 ? ENVIRONMENT_MALFORMED : 0;
}

int environment_open(const char *env_file, struct environment **opened, struct buffer *faults)
{
    struct environment *environment = calloc(1, sizeof(*environment));
    *opened = environment;
    if (!environment) {
        return -ENOMEM;
    }
    if (!env_file) {
        return 0;
    }
    struct buffer content = {0};
    int status = environment_read_file(env_file, &content);
    if (status == 0 && content.data) {
        status = read_lines(environment, env_file, buffer_text(&content), faults);
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
