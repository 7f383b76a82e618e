#include "net/postgres_library.h"

#include "postgres_functions.h"

struct postgres_functions postgres_functions;

static const char *const symbols[] = {POSTGRES_FUNCTIONS(LIBRARY_SYMBOL)};

_Static_assert(sizeof(struct postgres_functions) == sizeof(symbols), "one pointer for each name");

static const struct library library = {
    .name = "libpq",
    .files = (const char *const[]){"libpq.so.5", NULL},
    .packages = "libpq5",
    .symbols = symbols,
    .symbol_count = sizeof(symbols) / sizeof(symbols[0]),
    .functions = &postgres_functions,
};

int postgres_library_open(struct buffer *fault)
{
    return library_open(&library, fault);
}

int postgres_library_version(void)
{
    return PQlibVersion();
}
