#pragma once

/* A Lua script: a connection to Redis loads it when it is made, and calls it by its digest. Lives longer than those. */
struct redis_script {
    const char *name; /* for logs */
    const char *source;
    char digest[41]; /* filled in by redis_script_prepare() */
};

/* Computes the digest. To be called once before the first use, from one thread. */
void redis_script_prepare(struct redis_script *script);
