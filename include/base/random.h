#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* Unpredictable bytes from the system's generator. Aborts when there is none: nothing safe could follow. */
void random_bytes(void *bytes, size_t length);

/* Uniform in 0 .. bound - 1, without bias; 0 when bound is 0. */
uint64_t random_below(uint64_t bound);

/* Writes `length` characters of [A-Za-z0-9] and a NUL. `string` has room for length + 1. */
void random_identifier(char *string, size_t length);

/* Writes `length` lower-case hexadecimal digits and a NUL. `string` has room for length + 1. */
void random_hex(char *string, size_t length);
