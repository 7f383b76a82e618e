#include "unit.h"

#include "net/redis_trouble.h"

static const struct {
    const char *error;
    enum redis_trouble trouble;
} errors[] = {
    {"LOADING Redis is loading the dataset in memory", REDIS_LOADING},
    {"READONLY You can't write against a read only replica. script: 1e, on @user_script:5.", REDIS_READONLY},
    {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", REDIS_MASTERDOWN},
    {"CLUSTERDOWN Hash slot not served", REDIS_CLUSTERDOWN},
    {"MOVED 3999 127.0.0.1:6381", REDIS_MOVED},
    {"ASK 3999 127.0.0.1:6381", REDIS_SLOT_MIGRATES},
    {"TRYAGAIN Multiple keys request during rehashing of slot", REDIS_SLOT_MIGRATES},
    {"NOAUTH Authentication required.", REDIS_NOAUTH},
    {"WRONGPASS invalid username-password pair or user is disabled.", REDIS_WRONGPASS},
    {"ERR AUTH <password> called without any password configured for the default user. Are you sure?", REDIS_WRONGPASS},
    {"NOPERM this user has no permissions to run the 'evalsha' command", REDIS_NOPERM},
    {"DENIED Redis is running in protected mode because protected mode is enabled", REDIS_PROTECTED},
    {"OOM command not allowed when used memory > 'maxmemory'.", REDIS_OUT_OF_MEMORY},
    {"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist on disk.",
     REDIS_DISK_FAILS},
    {"NOREPLICAS Not enough good replicas to write.", REDIS_NO_REPLICAS},
    {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", REDIS_BUSY},
    {"ERR max number of clients reached", REDIS_MAX_CLIENTS},
    /* scripts, as Redis 6.2 words it */
    {"ERR Error running script (call to f_1e): @user_script:4: @user_script: 4: -OOM command not allowed when used "
     "memory > 'maxmemory'.",
     REDIS_OUT_OF_MEMORY},
    {"ERR Error running script (call to f_1e): @user_script:4: @user_script: 4: -READONLY You can't write against a "
     "read only replica.",
     REDIS_READONLY},
    {"@user_script: 4: -OOM command not allowed when used memory > 'maxmemory'.", REDIS_OUT_OF_MEMORY},
    /* what says nothing of the server */
    {"", REDIS_FINE},
    {"ERR unknown command", REDIS_FINE},
    {"ERR Error running script (call to f_1e): @user_script:4: @user_script: 4: -WRONGTYPE", REDIS_FINE},
    {"ERR Error running script (call to f_1e): @user_script:4: -", REDIS_FINE},
    {"NOGROUP No such key 'x' or consumer group 'y'", REDIS_FINE},
    {"UNBLOCKED the stream key no longer exists", REDIS_FINE},
    {"BUSYGROUP Consumer Group name already exists", REDIS_FINE},
    {"LOADINGS", REDIS_FINE},
};

START_TEST(an_error_tells_what_is_wrong_with_the_server)
{
    struct text error = unit_exact(text_of(errors[_i].error));
    ck_assert_msg(redis_trouble_of(error) == errors[_i].trouble, "%s", errors[_i].error);
    free((char *)(uintptr_t)error.data);
}
END_TEST

START_TEST(every_trouble_has_a_name_of_its_own_and_says_what_to_do)
{
    for (enum redis_trouble one = REDIS_FINE; one < REDIS_TROUBLES; one++) {
        ck_assert_ptr_nonnull(redis_trouble_name(one));
        ck_assert_ptr_nonnull(redis_trouble_advice(one));
        ck_assert(one == REDIS_FINE || redis_trouble_remedy(one) != REDIS_REMEDY_NONE);
        for (enum redis_trouble other = REDIS_FINE; other < one; other++) {
            ck_assert_str_ne(redis_trouble_name(one), redis_trouble_name(other));
        }
    }
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, an_error_tells_what_is_wrong_with_the_server, 0, (int)ARRAY_LENGTH(errors));
    tcase_add_test(tests, every_trouble_has_a_name_of_its_own_and_says_what_to_do);
}

int main(void)
{
    return unit_run("redis_trouble", fill);
}
