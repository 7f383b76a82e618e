#pragma once

/* How PostgreSQL is, as those see it who write rows. */
enum database_state {
    DATABASE_UNUSED, /* nobody writes any */
    DATABASE_FINE,
    DATABASE_AWAY,       /* it does not answer, or refuses */
    DATABASE_UNMIGRATED, /* its tables are missing or outdated */
    DATABASE_STATES
};

/* One word for programs. */
const char *database_state_name(enum database_state state);

/* What is to be done, for operators. */
const char *database_state_advice(enum database_state state);
