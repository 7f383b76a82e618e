#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/address.h"

static enum address_kind kind_of(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return address_kind_of((struct sockaddr *)&in);
    }
    ck_assert_msg(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1, "%s", text);
    return address_kind_of((struct sockaddr *)&in6);
}

static const char *const public[] = {"8.8.8.8",          "1.1.1.1",         "172.15.255.255", "172.32.0.0",
                                     "100.63.0.1",       "100.128.0.1",     "192.167.1.1",    "223.255.255.1",
                                     "169.253.1.1",      "2606:4700::1111", "2a00::1",        "::ffff:8.8.8.8",
                                     "64:ff9b::808:808", "2002:808:808::1"};
static const char *const private[] = {"127.0.0.1",      "127.255.255.254", "10.1.2.3",         "172.16.0.1",
                                      "172.31.255.255", "192.168.0.1",     "100.64.0.1",       "::1",
                                      "fd00::1",        "fc00::1",         "::ffff:127.0.0.1", "::ffff:10.0.0.1",
                                      "::192.168.1.1",  "64:ff9b::7f00:1", "2002:7f00:1::"};
static const char *const special[] = {"0.0.0.0",
                                      "0.1.2.3",
                                      "169.254.169.254",
                                      "192.0.0.1",
                                      "192.0.2.1",
                                      "198.51.100.7",
                                      "203.0.113.9",
                                      "198.18.0.1",
                                      "224.0.0.1",
                                      "240.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "fe80::1",
                                      "febf::1",
                                      "ff02::1",
                                      "2001:db8::1",
                                      "2001::1",
                                      "fec0::1",
                                      "::ffff:169.254.169.254",
                                      "64:ff9b:1::1",
                                      "2002:a9fe:a9fe::",
                                      "64:ff9b::a9fe:a9fe"};

START_TEST(addresses_of_the_internet_are_public)
{
    ck_assert_msg(kind_of(public[_i]) == ADDRESS_PUBLIC, "%s", public[_i]);
}
END_TEST

START_TEST(addresses_of_this_machine_and_its_networks_are_private)
{
    ck_assert_msg(kind_of(private[_i]) == ADDRESS_PRIVATE, "%s", private[_i]);
}
END_TEST

START_TEST(addresses_that_no_service_has_are_special)
{
    ck_assert_msg(kind_of(special[_i]) == ADDRESS_SPECIAL, "%s", special[_i]);
}
END_TEST

START_TEST(what_is_no_ip_address_is_special)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    ck_assert_int_eq(address_kind_of((struct sockaddr *)&un), ADDRESS_SPECIAL);
}
END_TEST

START_TEST(the_reach_says_which_kinds_are_in_it)
{
    ck_assert(address_is_within(ADDRESS_SPECIAL, REACH_ANY));
    ck_assert(address_is_within(ADDRESS_PRIVATE, REACH_PRIVATE));
    ck_assert(!address_is_within(ADDRESS_SPECIAL, REACH_PRIVATE));
    ck_assert(address_is_within(ADDRESS_PUBLIC, REACH_PUBLIC));
    ck_assert(!address_is_within(ADDRESS_PRIVATE, REACH_PUBLIC));
}
END_TEST

START_TEST(hosts_that_are_addresses_are_told_from_names)
{
    static const char *const addresses[] = {"127.0.0.1", "::1", "0x7f.1", "2130706433", "10.1", "fe80::1"};
    static const char *const names[] = {"", "localhost", "example.com", "1.example", "a.b", "12.34.56.78.example.com"};
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
        ck_assert_msg(host_is_address(text_of(addresses[i])), "%s", addresses[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        ck_assert_msg(!host_is_address(text_of(names[i])), "%s", names[i]);
    }
}
END_TEST

START_TEST(names_that_mean_nothing_in_the_public_dns_are_internal)
{
    static const char *const internal[] = {
        "localhost", "onboarding",       "api.localhost", "printer.local", "x.svc.cluster.local",
        "LOCALHOST", "db.corp.internal", "nas.home.arpa", "a.test",        "onboarding."};
    static const char *const others[] = {
        "", "example.com", "local.example.com", "internal.example", "example.test.com", "xlocal.com", "test.de"};
    for (size_t i = 0; i < ARRAY_LENGTH(internal); i++) {
        ck_assert_msg(host_is_internal(text_of(internal[i])), "%s", internal[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        ck_assert_msg(!host_is_internal(text_of(others[i])), "%s", others[i]);
    }
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, addresses_of_the_internet_are_public, 0, (int)ARRAY_LENGTH(public));
    tcase_add_loop_test(tests, addresses_of_this_machine_and_its_networks_are_private, 0, (int)ARRAY_LENGTH(private));
    tcase_add_loop_test(tests, addresses_that_no_service_has_are_special, 0, (int)ARRAY_LENGTH(special));
    tcase_add_test(tests, what_is_no_ip_address_is_special);
    tcase_add_test(tests, the_reach_says_which_kinds_are_in_it);
    tcase_add_test(tests, hosts_that_are_addresses_are_told_from_names);
    tcase_add_test(tests, names_that_mean_nothing_in_the_public_dns_are_internal);
}

int main(void)
{
    return unit_run("address", fill);
}
