#pragma once

#include <jwt.h>

#include "base/library.h"

/* libjwt's functions, called through the table that jwt_library_open() fills: those that Debian 12's 1.10 and Debian
 * 13's 1.17 have in common. */
#define JWT_FUNCTIONS(X)                                                                                               \
    X(jwt_decode)                                                                                                      \
    X(jwt_free)                                                                                                        \
    X(jwt_get_alg)                                                                                                     \
    X(jwt_get_grants_json)

struct jwt_functions {
    JWT_FUNCTIONS(LIBRARY_POINTER)
};

extern struct jwt_functions jwt_functions;

#define jwt_decode jwt_functions.jwt_decode
#define jwt_free jwt_functions.jwt_free
#define jwt_get_alg jwt_functions.jwt_get_alg
#define jwt_get_grants_json jwt_functions.jwt_get_grants_json
