#include "base/utf8.h"

#include <stdbool.h>

static size_t promised_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return 2;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return 3;
    }
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t utf8_sequence(const char *data, size_t length)
{
    const unsigned char *byte = (const unsigned char *)data;
    size_t promised = promised_length(byte[0]);
    if (promised <= 1) {
        return promised;
    }
    if (promised > length) {
        return 0;
    }
    for (size_t i = 1; i < promised; i++) {
        if ((byte[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xf0 && byte[1] < 0x90);
    bool surrogate = byte[0] == 0xed && byte[1] > 0x9f;
    bool beyond = byte[0] == 0xf4 && byte[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : promised;
}
