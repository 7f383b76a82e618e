#include "base/random.h"

#include <stdlib.h>

#include <openssl/rand.h>

void random_bytes(void *bytes, size_t length)
{
    if (length > 0 && RAND_bytes(bytes, (int)length) != 1) {
        abort();
    }
}

uint64_t random_below(uint64_t bound)
{
    if (bound == 0) {
        return 0;
    }
    /* Values above the largest multiple of `bound` would favour the small results: draw again. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do {
        random_bytes(&value, sizeof(value));
    } while (value >= limit);
    return value % bound;
}

static void random_characters(char *string, size_t length, const char *alphabet, size_t size)
{
    for (size_t i = 0; i < length; i++) {
        string[i] = alphabet[random_below(size)];
    }
    string[length] = '\0';
}

void random_identifier(char *string, size_t length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random_characters(string, length, alphabet, sizeof(alphabet) - 1);
}

void random_hex(char *string, size_t length)
{
    static const char alphabet[] = "0123456789abcdef";
    random_characters(string, length, alphabet, sizeof(alphabet) - 1);
}
