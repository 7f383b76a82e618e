#include "net/postgres_library.h"

#include "postgres_functions.h"

struct postgres_functions postgres_functions;

static const struct library library = {
    .name = "libpq",
    .files = (const char *const[]){"libpq.so.5", NULL},
    .packages = "libpq5",
    LIBRARY_TABLE(POSTGRES_FUNCTIONS, postgres_functions),
};

int postgres_library_open(struct buffer *fault)
{
    return library_open(&library, fault);
}

int postgres_library_version(void)
{
    return PQlibVersion();
}
