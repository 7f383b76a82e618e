#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/authority.h"
#include "base/units.h"
#include "setting_private.h"

void *setting_field(struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

int setting_copy(char **field, struct text value)
{
    free(*field);
    *field = text_copy(value);
    return *field ? 0 : -ENOMEM;
}

static bool is_blank_byte(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

bool setting_is_blank(struct text text)
{
    size_t i = 0;
    while (i < text.length && is_blank_byte(text.data[i])) {
        i++;
    }
    return i == text.length;
}

bool setting_has_control(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < ' ' || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

bool setting_has_blank(struct text text)
{
    return setting_has_control(text) || (text.length > 0 && memchr(text.data, ' ', text.length));
}

static bool has_blank_end(struct text text)
{
    return text.length > 0 && (is_blank_byte(text.data[0]) || is_blank_byte(text.data[text.length - 1]));
}

/* ---- general kinds */

int setting_text(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (setting_is_blank(value)) {
        *fault = "is empty";
    } else if (has_blank_end(value) || setting_has_control(value)) {
        *fault = "begins or ends with a blank, or has a control character in it";
    }
    return *fault ? 0 : setting_copy(setting_field(settings, setting), value);
}

int setting_word(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (value.length == 0 || setting_has_blank(value)) {
        *fault = "is empty or has blanks in it";
        return 0;
    }
    return setting_copy(setting_field(settings, setting), value);
}

const char *setting_server_fault(struct text rest)
{
    struct text server = rest;
    server.length = 0;
    while (server.length < rest.length && !strchr("/?#", rest.data[server.length])) {
        server.length++;
    }
    if (server.length > 0 && memchr(server.data, '@', server.length)) {
        return "has a login in it, which could be shown: take it out";
    }
    struct authority authority;
    if (authority_parse(server, 1, &authority) < 0) {
        return "has no host and port that can be read";
    }
    return setting_has_blank(rest) ? "has a blank in it" : NULL;
}

int setting_http_url(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    struct text rest = value;
    if (!text_take_prefix(&rest, TEXT("https://")) && !text_take_prefix(&rest, TEXT("http://"))) {
        *fault = "is not a URL that starts with https:// or http://";
    } else {
        *fault = setting_server_fault(rest);
    }
    return *fault ? 0 : setting_copy(setting_field(settings, setting), value);
}

int setting_base_url(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (value.length > 0 && (memchr(value.data, '?', value.length) || memchr(value.data, '#', value.length))) {
        *fault = "has a '?' or '#' in it, and paths are to be put behind it";
        return 0;
    }
    return setting_http_url(setting, settings, value, fault);
}

const char *setting_secret_fault(struct text value)
{
    if (setting_is_blank(value)) {
        return "is empty";
    }
    if (has_blank_end(value)) {
        return "begins or ends with a blank or a line end, which would be part of the secret: remove it";
    }
    if (text_starts_with(value, TEXT("\xef\xbb\xbf"))) {
        return "begins with a byte order mark, which would be part of the secret: save the file without it";
    }
    return NULL;
}

int setting_secret(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    *fault = setting_secret_fault(value);
    return *fault ? 0 : secret_set(setting_field(settings, setting), value);
}

int setting_index_of(struct text word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal(word, text_of(words[i]))) {
            return (int)i;
        }
    }
    return -1;
}

bool setting_read_set(struct text value, const char *const *words, size_t count, unsigned *set)
{
    *set = 0;
    while (value.data) {
        int index = setting_index_of(text_trim(text_cut(&value, ',')), words, count);
        if (index < 0) {
            return false;
        }
        *set |= 1u << index;
    }
    return true;
}

void setting_append_range(const struct setting *setting, struct buffer *out)
{
    static const struct {
        setting_reader *read;
        void (*append)(struct buffer *buffer, uint64_t number);
    } kinds[] = {
        {setting_count, buffer_append_number},      {setting_size, units_append_size},
        {setting_duration, units_append_duration},  {setting_rate, units_append_rate},
        {setting_tolerance, units_append_duration},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (setting->read == kinds[i].read) {
            kinds[i].append(out, setting->least);
            buffer_append_string(out, " to ");
            kinds[i].append(out, setting->most);
        }
    }
}

void setting_read_number(const struct setting *setting, struct settings *settings, int status, uint64_t number,
                         const char *kind, const char **fault)
{
    if (status == -EINVAL) {
        *fault = kind;
    } else if (status == -ERANGE || number > setting->most) {
        *fault = "is too large";
    } else if (number < setting->least) {
        *fault = "is too small";
    } else {
        *(uint64_t *)setting_field(settings, setting) = number;
    }
}

int setting_count(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = text_to_unsigned(value, UINT64_MAX, &number);
    setting_read_number(setting, settings, status, number, "is not a whole number", fault);
    return 0;
}

int setting_size(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_size(value, &number);
    setting_read_number(setting, settings, status, number, "is not a size: write a number, or one with k, M or G",
                        fault);
    return 0;
}

int setting_duration(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_duration(value, &number);
    setting_read_number(setting, settings, status, number, "is not a duration: write a number with ms, s, m, h or d",
                        fault);
    return 0;
}

int setting_rate(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    uint64_t number = 0;
    int status = units_parse_rate(value, &number);
    setting_read_number(setting, settings, status, number, "is not a rate: write a number with /s or /m", fault);
    return 0;
}

int setting_endpoint(const struct setting *setting, struct settings *settings, struct text value, const char **fault)
{
    if (endpoint_parse(value, setting_field(settings, setting)) < 0) {
        *fault = "is not ADDRESS:PORT with a numeric address";
    }
    return 0;
}
