#include "net/redis_script.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

void redis_script_prepare(struct redis_script *script)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    (void)EVP_Digest(script->source, strlen(script->source), digest, &length, EVP_sha1(), NULL);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(script->digest + 2 * (size_t)i, 3, "%02x", digest[i]);
    }
}
