#include "core/jwt_library.h"

#include "jwt_functions.h"

struct jwt_functions jwt_functions;

static const char *const symbols[] = {JWT_FUNCTIONS(LIBRARY_SYMBOL)};

_Static_assert(sizeof(struct jwt_functions) == sizeof(symbols), "one pointer for each name");

static const struct library library = {
    .name = "libjwt",
    .files = (const char *const[]){"libjwt.so.2", "libjwt.so.0", NULL},
    .packages = "libjwt0 (Debian 12) or libjwt2 (Debian 13)",
    .symbols = symbols,
    .symbol_count = sizeof(symbols) / sizeof(symbols[0]),
    .functions = &jwt_functions,
};

int jwt_library_open(struct buffer *fault)
{
    return library_open(&library, fault);
}
