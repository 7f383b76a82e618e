#include "base/mail_address.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

static bool is_address(struct text text)
{
    size_t at_signs = 0;
    for (size_t i = 0; i < text.length;) {
        size_t length = utf8_sequence(text.data + i, text.length - i);
        unsigned char byte = (unsigned char)text.data[i];
        if (length == 0 || byte <= ' ' || byte == 0x7f || strchr("<>()[]\",;:\\", byte)) {
            return false;
        }
        at_signs += byte == '@';
        i += length;
    }
    return text.length >= 3 && text.length <= 254 && at_signs == 1 && text.data[0] != '@' &&
           text.data[text.length - 1] != '@';
}

int mail_address_find(struct text text, struct text *address)
{
    text = text_trim(text);
    const char *open = text.length > 0 ? memchr(text.data, '<', text.length) : NULL;
    if (open) {
        if (text.data[text.length - 1] != '>') {
            return -EINVAL;
        }
        const char *end = text.data + text.length - 1;
        text = (struct text){.data = open + 1, .length = (size_t)(end - open - 1)};
    }
    if (!is_address(text)) {
        return -EINVAL;
    }
    *address = text;
    return 0;
}

struct text mail_address_name(struct text text)
{
    text = text_trim(text);
    const char *open = text.length > 0 ? memchr(text.data, '<', text.length) : NULL;
    struct text name = {.data = text.data, .length = open ? (size_t)(open - text.data) : 0};
    name = text_trim(name);
    if (name.length >= 2 && name.data[0] == '"' && name.data[name.length - 1] == '"') {
        name = (struct text){.data = name.data + 1, .length = name.length - 2};
    }
    return name;
}
