#include "net/redis_trouble.h"

#include "base/attributes.h"

static const struct {
    const char *name;
    enum redis_remedy remedy;
    const char *advice;
} troubles[REDIS_TROUBLES] = {
    [REDIS_FINE] = {"none", REDIS_REMEDY_NONE, "nothing is wrong"},
    [REDIS_AWAY] = {"away", REDIS_REMEDY_RECONNECT, "check that Redis runs, the network to it, and REDIS_URL"},
    [REDIS_TLS_FAILS] = {"tls", REDIS_REMEDY_RECONNECT,
                         "the log says what failed: IDENTIHOOK_REDIS_CA must have signed Redis's certificate, "
                         "IDENTIHOOK_REDIS_SERVER_NAME is whom it names, IDENTIHOOK_REDIS_CERT is what it wants of us"},
    [REDIS_MAX_CLIENTS] = {"max_clients", REDIS_REMEDY_RECONNECT,
                           "Redis has too many clients: raise its maxclients, or lower IDENTIHOOK_REDIS_CONNECTIONS"},
    [REDIS_LOADING] = {"loading", REDIS_REMEDY_RECONNECT, "Redis reads its data from disk: wait until it has"},
    [REDIS_READONLY] = {"readonly", REDIS_REMEDY_RECONNECT,
                        "this is a replica: let REDIS_URL lead to the primary, by a name that follows it, by Sentinel "
                        "or as a cluster"},
    [REDIS_MASTERDOWN] = {"masterdown", REDIS_REMEDY_RECONNECT,
                          "this is a replica whose primary is away: promote it, or mend the primary"},
    [REDIS_CLUSTERDOWN] = {"clusterdown", REDIS_REMEDY_RECONNECT,
                           "the Redis cluster is down, or nobody serves our slot: see CLUSTER INFO"},
    [REDIS_MOVED] = {"moved", REDIS_REMEDY_RECONNECT, "the slot of our keys has moved in the cluster: wait a moment"},
    [REDIS_NOAUTH] = {"noauth", REDIS_REMEDY_RECONNECT,
                      "Redis wants a password: put it into REDIS_URL, redis://user:password@host"},
    [REDIS_WRONGPASS] = {"wrongpass", REDIS_REMEDY_RECONNECT,
                         "user or password in REDIS_URL are wrong, or the user is off: see ACL LIST"},
    [REDIS_NOPERM] = {"noperm", REDIS_REMEDY_WAIT,
                      "the user in REDIS_URL lacks a permission: see ACL LOG, and the minimal ACL in "
                      "deploy/README.md"},
    [REDIS_PROTECTED] = {"protected", REDIS_REMEDY_RECONNECT,
                         "Redis is in protected mode and refuses other hosts: give it a password and a bind address"},
    [REDIS_OUT_OF_MEMORY] = {"out_of_memory", REDIS_REMEDY_WAIT,
                             "Redis has reached maxmemory: raise it, or find what fills it"},
    [REDIS_DISK_FAILS] = {"disk_fails", REDIS_REMEDY_WAIT,
                          "Redis cannot write to its disk, and takes no writes: see its log and the disk's space"},
    [REDIS_NO_REPLICAS] = {"no_replicas", REDIS_REMEDY_WAIT,
                           "Redis has fewer replicas than its min-replicas-to-write: mend the replicas"},
    [REDIS_BUSY] = {"busy", REDIS_REMEDY_WAIT, "a script of somebody runs too long: SCRIPT KILL ends it"},
    [REDIS_SLOT_MIGRATES] =
        {"slot_migrates", REDIS_REMEDY_WAIT,
         "the slot of our keys is on its way to another node, some here and some there: wait until all are there"},
    [REDIS_NOT_DURABLE] = {"not_durable", REDIS_REMEDY_RECONNECT,
                           "IDENTIHOOK_REQUIRE_DURABLE is set, and Redis could lose events: the log says why"},
    [REDIS_UNSUITABLE] = {"unsuitable", REDIS_REMEDY_RECONNECT,
                          "Redis is not what the settings require: the log says what is missing"},
};

static const struct {
    struct text code;
    enum redis_trouble trouble;
} codes[] = {
    {{"LOADING", 7}, REDIS_LOADING},
    {{"READONLY", 8}, REDIS_READONLY},
    {{"MASTERDOWN", 10}, REDIS_MASTERDOWN},
    {{"CLUSTERDOWN", 11}, REDIS_CLUSTERDOWN},
    {{"MOVED", 5}, REDIS_MOVED},
    {{"ASK", 3}, REDIS_SLOT_MIGRATES},
    {{"TRYAGAIN", 8}, REDIS_SLOT_MIGRATES},
    {{"NOAUTH", 6}, REDIS_NOAUTH},
    {{"WRONGPASS", 9}, REDIS_WRONGPASS},
    {{"NOPERM", 6}, REDIS_NOPERM},
    {{"DENIED", 6}, REDIS_PROTECTED},
    {{"OOM", 3}, REDIS_OUT_OF_MEMORY},
    {{"MISCONF", 7}, REDIS_DISK_FAILS},
    {{"NOREPLICAS", 10}, REDIS_NO_REPLICAS},
    {{"BUSY", 4}, REDIS_BUSY},
};

static enum redis_trouble trouble_of_code(struct text error)
{
    struct text rest = error;
    struct text code = text_cut(&rest, ' ');
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        if (text_equal(code, codes[i].code)) {
            return codes[i].trouble;
        }
    }
    return REDIS_FINE;
}

/* "ERR Error running script (call to f_…): @user_script:12: @user_script: 12: -OOM command not allowed …", or, when the
 * script answers with the error, "@user_script: 12: -OOM command not allowed …" */
static enum redis_trouble trouble_in_script(struct text error)
{
    for (size_t i = 0; i + 3 < error.length; i++) {
        if (error.data[i] == ':' && error.data[i + 1] == ' ' && error.data[i + 2] == '-') {
            return trouble_of_code((struct text){error.data + i + 3, error.length - i - 3});
        }
    }
    return REDIS_FINE;
}

enum redis_trouble redis_trouble_of(struct text error)
{
    if (text_starts_with(error, TEXT("ERR Error running script")) || text_starts_with(error, TEXT("@user_script:"))) {
        return trouble_in_script(error);
    }
    if (!text_starts_with(error, TEXT("ERR "))) {
        return trouble_of_code(error);
    }
    if (text_starts_with(error, TEXT("ERR max number of clients"))) {
        return REDIS_MAX_CLIENTS;
    }
    if (text_starts_with(error, TEXT("ERR AUTH ")) || text_starts_with(error, TEXT("ERR invalid password"))) {
        return REDIS_WRONGPASS; /* a password where none is set */
    }
    return REDIS_FINE;
}

enum redis_remedy redis_trouble_remedy(enum redis_trouble trouble)
{
    return troubles[trouble].remedy;
}

const char *redis_trouble_name(enum redis_trouble trouble)
{
    return troubles[trouble].name;
}

const char *redis_trouble_advice(enum redis_trouble trouble)
{
    return troubles[trouble].advice;
}
