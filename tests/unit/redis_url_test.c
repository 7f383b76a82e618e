#include "unit.h"

#include <errno.h>

#include "base/redis_url.h"

#define PATH_107                                                                                                       \
    "/9012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234"

static const struct {
    const char *url;
    bool tls;
    const char *host;
    unsigned port;
    const char *path;
    unsigned database;
    const char *username;
    const char *password;
} good[] = {
    {"redis://h", false, "h", 6379, NULL, 0, NULL, NULL},
    {"redis://h/", false, "h", 6379, NULL, 0, NULL, NULL},
    {"redis://h:1/2", false, "h", 1, NULL, 2, NULL, NULL},
    {"rediss://cache-1.example.com:6380", true, "cache-1.example.com", 6380, NULL, 0, NULL, NULL},
    {"redis://:p%40s%2Fs%3a@h", false, "h", 6379, NULL, 0, NULL, "p@s/s:"},
    {"redis://:p@ss/w:rd?#@h:1", false, "h", 1, NULL, 0, NULL, "p@ss/w:rd?#"},
    {"redis://@h", false, "h", 6379, NULL, 0, NULL, NULL},
    {"redis://u%3Aser:p@[::1]:7/3", false, "::1", 7, NULL, 3, "u:ser", "p"},
    {"redis://[2001:db8::1]", false, "2001:db8::1", 6379, NULL, 0, NULL, NULL},
    {"unix:///tmp/r.sock?db=4", false, NULL, 0, "/tmp/r.sock", 4, NULL, NULL},
    {"unix:///tmp/r.sock", false, NULL, 0, "/tmp/r.sock", 0, NULL, NULL},
    {"unix:///tmp/a%20b%3Fc@d", false, NULL, 0, "/tmp/a b?c@d", 0, NULL, NULL},
    {"unix://u:p@/tmp/r.sock", false, NULL, 0, "/tmp/r.sock", 0, "u", "p"},
    {"unix://:p@/tmp/r.sock?db=0", false, NULL, 0, "/tmp/r.sock", 0, NULL, "p"},
    {"unix://" PATH_107, false, NULL, 0, PATH_107, 0, NULL, NULL},
};

START_TEST(a_redis_url_is_taken_apart)
{
    struct redis_url url;
    struct text text = unit_exact(text_of(good[_i].url));
    ck_assert_msg(redis_url_parse(text, &url) == 0, "%s", good[_i].url);
    ck_assert_int_eq(url.tls, good[_i].tls);
    ck_assert_pstr_eq(url.hosts[0].name, good[_i].host);
    ck_assert_pstr_eq(url.path, good[_i].path);
    ck_assert_pstr_eq(url.username, good[_i].username);
    ck_assert_pstr_eq(url.password.data, good[_i].password);
    ck_assert_uint_eq(url.database, good[_i].database);
    ck_assert_uint_eq(url.hosts[0].port, good[_i].port);
    redis_url_free(&url);
    redis_url_free(&url);
    free((char *)(uintptr_t)text.data);
}
END_TEST

START_TEST(sentinels_and_their_login_are_taken_apart)
{
    struct redis_url url;
    ck_assert_int_eq(
        redis_url_parse(TEXT("rediss+sentinel://app:p%40ss@s1,s2:1,[::1]/main%20one?db=3&sentinel_username=u"
                             "&sentinel_password=x%26y"),
                        &url),
        0);
    ck_assert_int_eq(url.kind, REDIS_SENTINEL);
    ck_assert(url.tls);
    ck_assert_uint_eq(url.host_count, 3);
    ck_assert_str_eq(url.hosts[0].name, "s1");
    ck_assert_uint_eq(url.hosts[0].port, 26379);
    ck_assert_uint_eq(url.hosts[1].port, 1);
    ck_assert_str_eq(url.hosts[2].name, "::1");
    ck_assert_str_eq(url.master, "main one");
    ck_assert_uint_eq(url.database, 3);
    ck_assert_str_eq(url.username, "app");
    ck_assert_str_eq(url.password.data, "p@ss");
    ck_assert_str_eq(url.sentinel_username, "u");
    ck_assert_str_eq(url.sentinel_password.data, "x&y");
    redis_url_free(&url);
}
END_TEST

START_TEST(nodes_of_a_cluster_are_taken_apart)
{
    struct redis_url url;
    ck_assert_int_eq(redis_url_parse(TEXT("redis+cluster://:p@n1:7000,n2/0"), &url), 0);
    ck_assert_int_eq(url.kind, REDIS_CLUSTER);
    ck_assert_uint_eq(url.host_count, 2);
    ck_assert_uint_eq(url.hosts[0].port, 7000);
    ck_assert_uint_eq(url.hosts[1].port, 6379);
    ck_assert_str_eq(url.password.data, "p");
    redis_url_free(&url);
}
END_TEST

static const char *const bad[] = {
    "",
    "redis",
    "redis:",
    "redis://",
    "http://h",
    "REDIS://h",
    "redis://:6379",
    "redis://h:",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:6379x",
    "redis://h:-1",
    "redis://h/x",
    "redis://h/1/2",
    "redis://h/-1",
    "redis://h/1048577",
    "redis://h?db=1",
    "redis://h/1?timeout=5",
    "redis://h,i",
    "redis+sentinel://h",
    "redis+sentinel://h/",
    "redis+sentinel:///m",
    "redis+sentinel://h,/m",
    "redis+sentinel://h/m?db=x",
    "redis+sentinel://h/m?sentinel_password=",
    "redis+sentinel://h/m?password=x",
    "redis+sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/m",
    "redis+cluster://",
    "redis+cluster://h/1",
    "redis+cluster://h?db=0",
    "redis+unix:///s",
    "redis://a b",
    "redis://h\n",
    "redis://::1",
    "redis://[::1",
    "redis://[]",
    "redis://[h]:1",
    "redis://[::1]x",
    "redis://[::1]:",
    "redis://[",
    "redis://:p%4@h",
    "redis://:p%@h",
    "redis://:p%zz@h",
    "redis://:p%00@h",
    "redis://user@h",
    "redis://user:@h",
    "redis://:hunter2@",
    "unix://",
    "unix:///",
    "unix://relative",
    "unix://u:p@relative",
    "unix:///s?db=x",
    "unix:///s?database=1",
    "unix:///s?db=1&x=y",
    "unix:///s%0",
    "unix://" PATH_107 "8",
};

START_TEST(what_is_no_redis_url_is_refused_and_leaves_nothing_behind)
{
    struct redis_url url;
    struct text text = unit_exact(text_of(bad[_i]));
    ck_assert_msg(redis_url_parse(text, &url) == -EINVAL, "%s", bad[_i]);
    ck_assert_uint_eq(url.host_count, 0);
    ck_assert_ptr_null(url.path);
    ck_assert_ptr_null(url.username);
    ck_assert(!secret_is_set(&url.password));
    free((char *)(uintptr_t)text.data);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, a_redis_url_is_taken_apart, 0, (int)ARRAY_LENGTH(good));
    tcase_add_test(tests, sentinels_and_their_login_are_taken_apart);
    tcase_add_test(tests, nodes_of_a_cluster_are_taken_apart);
    tcase_add_loop_test(tests, what_is_no_redis_url_is_refused_and_leaves_nothing_behind, 0, (int)ARRAY_LENGTH(bad));
}

int main(void)
{
    return unit_run("redis_url", fill);
}
