#include "core/jwt_library.h"

#include "jwt_functions.h"

struct jwt_functions jwt_functions;

static const struct library library = {
    .name = "libjwt",
    .files = (const char *const[]){"libjwt.so.2", "libjwt.so.0", NULL},
    .packages = "libjwt0 (Debian 12) or libjwt2 (Debian 13)",
    LIBRARY_TABLE(JWT_FUNCTIONS, jwt_functions),
};

int jwt_library_open(struct buffer *fault)
{
    return library_open(&library, fault);
}
