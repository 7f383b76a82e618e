#pragma once

#include "base/setting.h"
#include "base/settings.h"

/* What the readers of setting.c and setting_own.c share. */

/* The field that a reader of a general kind fills. */
void *setting_field(struct settings *settings, const struct setting *setting);

/* Puts a copy into *field. 0 or -ENOMEM. */
MUST_CHECK int setting_copy(char **field, struct text value);

/* Empty, or nothing but blanks and line ends. */
bool setting_is_blank(struct text text);

/* Any control character; that or a space. */
bool setting_has_control(struct text text);
bool setting_has_blank(struct text text);

/* The index of `word` among `words`, or -1. */
int setting_index_of(struct text word, const char *const *words, size_t count);

/* A list of such words, separated by commas, as bits by their indices. False when it holds another one. */
bool setting_read_set(struct text value, const char *const *words, size_t count, unsigned *set);

/* What is wrong with a URL of which `rest` is the part after "scheme://"; NULL when nothing is. */
const char *setting_server_fault(struct text rest);

/* What is wrong with a secret, whatever it is for; NULL when nothing is. */
const char *setting_secret_fault(struct text value);

/* Puts `number` into the field when `status`, from parsing it, is 0 and it is in range. `kind` is the fault of a text
 * that did not parse. */
void setting_read_number(const struct setting *setting, struct settings *settings, int status, uint64_t number,
                         const char *kind, const char **fault);
