#include "base/decimal.h"

struct text decimal_write(uint64_t number, char digits[DECIMAL_SIZE])
{
    size_t first = DECIMAL_SIZE;
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct text){.data = digits + first, .length = DECIMAL_SIZE - first};
}
