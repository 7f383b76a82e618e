#include "unit.h"

#include "store/durability.h"

static struct redis_facts read_info(const char *info)
{
    struct redis_facts facts = {0};
    struct text text = unit_exact(text_of(info));
    redis_facts_read_info(&facts, text);
    free((char *)(uintptr_t)text.data);
    return facts;
}

START_TEST(info_is_read)
{
    struct redis_facts facts = read_info("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Memory\r\n"
                                         "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n"
                                         "role:slave\r\ncluster_enabled:0\r\n");
    ck_assert_str_eq(facts.version, "7.0.15");
    ck_assert_uint_eq(facts.version_number, 70015);
    ck_assert_int_eq(facts.replica, REDIS_YES);
    ck_assert_int_eq(facts.cluster, REDIS_NO);
    ck_assert_int_eq(facts.appends, REDIS_YES);
    ck_assert_int_eq(facts.evicts, REDIS_NO); /* without a limit nothing is evicted */
    ck_assert_str_eq(facts.policy, "allkeys-lru");
}
END_TEST

START_TEST(what_is_not_there_is_unknown)
{
    static const char *const texts[] = {"", "\r\n", "redis_version\r\n", ":\r\n", "maxmemory:1\r\n", "no line end"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct redis_facts facts = read_info(texts[i]);
        ck_assert_uint_eq(facts.version_number, 0);
        ck_assert_int_eq(facts.replica, REDIS_UNKNOWN);
        ck_assert_int_eq(facts.appends, REDIS_UNKNOWN);
        ck_assert_int_eq(facts.evicts, REDIS_UNKNOWN);
    }
}
END_TEST

static const struct {
    const char *text;
    unsigned number;
} versions[] = {{"6.2.0", 60200},        {"6.0.16", 60016},
                {"8.0.2", 80002},        {"7.2", 70200},
                {"255.255.255", 999999}, {"99999999999999999999.1", 990100},
                {"8.0-rc1.2", 80002},    {"x", 0}};

START_TEST(versions_are_compared_as_numbers)
{
    char info[80];
    (void)snprintf(info, sizeof(info), "redis_version:%s\r\n", versions[_i].text);
    ck_assert_uint_eq(read_info(info).version_number, versions[_i].number);
}
END_TEST

static const struct {
    struct redis_facts facts;
    enum durability durability;
    const char *reason;
} judgements[] = {
    {{.told = true}, DURABILITY_UNKNOWN, "does not say"},
    {{.appends = REDIS_YES}, DURABILITY_SOUND, "is not known"},
    {{.appends = REDIS_YES, .fsync = REDIS_FSYNC_ALWAYS}, DURABILITY_SOUND, "on its disk"},
    {{.appends = REDIS_YES, .fsync = REDIS_FSYNC_EVERYSEC}, DURABILITY_SOUND, "two seconds"},
    {{.appends = REDIS_YES, .fsync = REDIS_FSYNC_NO}, DURABILITY_WEAK, "appendfsync always"},
    {{.appends = REDIS_NO, .fsync = REDIS_FSYNC_ALWAYS}, DURABILITY_WEAK, "appendonly yes"},
    {{.appends = REDIS_YES, .fsync = REDIS_FSYNC_ALWAYS, .evicts = REDIS_YES}, DURABILITY_WEAK, "noeviction"},
};

START_TEST(durability_is_judged_by_the_weakest_part)
{
    char reason[DURABILITY_REASON_SIZE];
    ck_assert_int_eq(durability_judge(&judgements[_i].facts, reason), judgements[_i].durability);
    ck_assert_msg(strstr(reason, judgements[_i].reason) != NULL, "%s", reason);
    ck_assert_uint_lt(strlen(reason), DURABILITY_REASON_SIZE - 1);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, info_is_read);
    tcase_add_test(tests, what_is_not_there_is_unknown);
    tcase_add_loop_test(tests, versions_are_compared_as_numbers, 0, (int)ARRAY_LENGTH(versions));
    tcase_add_loop_test(tests, durability_is_judged_by_the_weakest_part, 0, (int)ARRAY_LENGTH(judgements));
}

int main(void)
{
    return unit_run("redis_facts", fill);
}
