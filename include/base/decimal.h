#pragma once

#include <stdint.h>

#include "base/text.h"

#define DECIMAL_SIZE 20 /* digits of the largest number */

/* Writes `number` in decimal at the end of `digits` and returns it. Many times faster than by format: done for every
 * event. */
struct text decimal_write(uint64_t number, char digits[DECIMAL_SIZE]);
