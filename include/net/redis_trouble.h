#pragma once

#include "base/text.h"

/*
 * What keeps a connection to Redis from being of use, as Redis or the network says it, and what an operator can do
 * about it. Pure.
 */
enum redis_trouble {
    REDIS_FINE,

    /* no server can be reached */
    REDIS_AWAY,
    REDIS_TLS_FAILS,
    REDIS_MAX_CLIENTS,
    REDIS_LOADING,

    /* this server is not the one to ask: another may have taken its place */
    REDIS_READONLY,
    REDIS_MASTERDOWN,
    REDIS_CLUSTERDOWN,
    REDIS_MOVED,

    /* it does not let us in */
    REDIS_NOAUTH,
    REDIS_WRONGPASS,
    REDIS_NOPERM,
    REDIS_PROTECTED,

    /* it is there, but takes no events now */
    REDIS_OUT_OF_MEMORY,
    REDIS_DISK_FAILS,
    REDIS_NO_REPLICAS,
    REDIS_BUSY,
    REDIS_SLOT_MIGRATES,
    REDIS_NOT_DURABLE, /* and the settings require it */
    REDIS_UNSUITABLE,  /* too old, or something else that the log tells */

    REDIS_TROUBLES
};

enum redis_remedy {
    REDIS_REMEDY_NONE,      /* the caller's affair */
    REDIS_REMEDY_RECONNECT, /* find a server anew */
    REDIS_REMEDY_WAIT,      /* keep the connection, and ask from time to time whether writing works again */
};

/* What an error reply means: `error` begins with Redis's code. REDIS_FINE: it says nothing of the server's state. Also
 * reads errors of scripts as Redis before 7 words them, with the code within. */
enum redis_trouble redis_trouble_of(struct text error);

enum redis_remedy redis_trouble_remedy(enum redis_trouble trouble);

/* "out_of_memory": for metrics and readiness. */
const char *redis_trouble_name(enum redis_trouble trouble);

/* What to do, for people. */
const char *redis_trouble_advice(enum redis_trouble trouble);
