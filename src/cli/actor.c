#include "cli/actor.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

void actor_name(char actor[ACTOR_SIZE])
{
    char host[64] = "unknown";
    const struct passwd *user = getpwuid(getuid());
    (void)gethostname(host, sizeof(host) - 1);
    if (user) {
        (void)snprintf(actor, ACTOR_SIZE, "%s@%s", user->pw_name, host);
    } else {
        (void)snprintf(actor, ACTOR_SIZE, "%lu@%s", (unsigned long)getuid(), host);
    }
    for (char *at = actor; *at; at++) {
        if (*at <= ' ' || *at == 0x7f) { /* and, where a char is signed, what is not ASCII */
            *at = '_';
        }
    }
}
