#include "base/mail_address.h"

#include <errno.h>
#include <string.h>

static bool is_address(struct text text)
{
    size_t at_signs = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= ' ' || byte == 0x7f || strchr("<>()[]\",;:\\", byte)) {
            return false;
        }
        at_signs += byte == '@';
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
