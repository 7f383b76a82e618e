#pragma once

#include <idn2.h>

#include "base/library.h"

/* libidn2's functions, called through the table that mail_domain_library_open() fills. */
#define IDN2_FUNCTIONS(X)                                                                                              \
    X(idn2_free)                                                                                                       \
    X(idn2_lookup_u8)

struct idn2_functions {
    IDN2_FUNCTIONS(LIBRARY_POINTER)
};

extern struct idn2_functions idn2_functions;

#define idn2_free idn2_functions.idn2_free
#define idn2_lookup_u8 idn2_functions.idn2_lookup_u8
