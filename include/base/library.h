#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/buffer.h"

/*
 * Shared libraries that not every process needs: compiled against, not linked with, and opened by those processes that
 * do, at their start. So what is not used costs neither memory nor start-up time, and need not be installed.
 *
 * Each such library has a list of its functions, an X-macro, from which come a table of pointers with the types that
 * the library's own header declares, and the names to look up:
 *
 *   #define FOO_FUNCTIONS(X) X(foo_open) X(foo_read)
 *
 *   struct foo_functions {
 *       FOO_FUNCTIONS(LIBRARY_POINTER)
 *   };
 *   extern struct foo_functions foo_functions;      // in the private header foo_functions.h, and then, so that foo's
 *   #define foo_open foo_functions.foo_open         // functions keep their names where they are called:
 *
 *   static const struct library foo = {
 *       .name = "libfoo",
 *       .files = (const char *const[]){"libfoo.so.2", "libfoo.so.1", NULL},
 *       .packages = "libfoo1 (Debian 12) or libfoo2 (Debian 13)",
 *       LIBRARY_TABLE(FOO_FUNCTIONS, foo_functions),
 *   };
 *
 * A function that is called and not in the list is an undefined reference to the linker. Macros that the library's
 * header defines under its functions' names are to be undefined first. net's curl_functions.h is the model.
 */
#define LIBRARY_POINTER(function) __typeof__(&(function)) function;
#define LIBRARY_SYMBOL(function) #function,
#define LIBRARY_TABLE(list, table)                                                                                     \
    .symbols = (const char *const[]){list(LIBRARY_SYMBOL)}, .symbol_count = sizeof(table) / sizeof(void (*)(void)),    \
    .functions = &(table)

struct library {
    const char *name;
    const char *const *files; /* sonames, each for one binary interface; the first that opens is taken; ends in NULL */
    const char *packages;     /* where they are to be had, for the message: Debian 12's and Debian 13's */
    const char *const *symbols;
    size_t symbol_count;
    void *functions; /* the table: a pointer for each symbol, in this order */
};

#define LIBRARY_MISSING 1

/*
 * Fills the table. To be called before other threads use it; once more does no harm. The library stays open until the
 * process ends: some leave threads or handlers at exit behind, which would run into unmapped code.
 *
 * 0, or LIBRARY_MISSING: `fault` got a sentence that says what is missing and what to install; it may be short of that
 * only when memory is.
 */
MUST_CHECK int library_open(const struct library *library, struct buffer *fault);
