#include "app/database_state.h"

static const struct {
    const char *name;
    const char *advice;
} states[DATABASE_STATES] = {
    [DATABASE_UNUSED] = {"unused", "nothing is wrong"},
    [DATABASE_FINE] = {"ok", "nothing is wrong"},
    [DATABASE_AWAY] = {"away", "check that PostgreSQL runs, the network to it, and DATABASE_URL: identihook doctor "
                               "says what it answers"},
    [DATABASE_UNMIGRATED] = {"unmigrated", "its tables are missing or outdated: run identihook migrate"},
};

const char *database_state_name(enum database_state state)
{
    return states[state].name;
}

const char *database_state_advice(enum database_state state)
{
    return states[state].advice;
}
