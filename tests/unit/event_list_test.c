#include "unit.h"

#include "stripe/event.h"
#include "stripe/event_list.h"

static int parse(const char *body, struct event_list *list)
{
    static struct text exact; /* the list borrows from it */
    free((char *)(uintptr_t)exact.data);
    exact = unit_exact(text_of(body));
    return event_list_parse(exact, list);
}

START_TEST(a_page_as_stripe_sends_it_is_read)
{
    struct buffer body = unit_data("composed-event.list.json");
    struct event_list list;
    ck_assert_int_eq(event_list_parse(buffer_text(&body), &list), 0);
    ck_assert_uint_eq(list.count, 3);
    ck_assert(!list.has_more);
    const char *why;
    struct event event;
    ck_assert_int_eq(event_parse(list.items[0], &event, &why), 0);
    ck_assert_text_eq(event.id, "evt_1SkT03LkdIwHu7ix5EED0003");
    ck_assert_int_eq(event.kind, EVENT_VERIFIED);
    ck_assert_int_eq(event.created, 1793268131);
    buffer_free(&body);
}
END_TEST

START_TEST(each_event_keeps_the_bytes_that_stripe_sent)
{
    struct event_list list;
    ck_assert_int_eq(
        parse("{\"object\": \"list\",\n \"data\": [ {\"a\" : \"]},\\\"\\\\\"} ,\n[1, {}],-1.5e3 ,\"x\",null],"
              "\"has_more\" : true }",
              &list),
        0);
    static const char *const items[] = {"{\"a\" : \"]},\\\"\\\\\"}", "[1, {}]", "-1.5e3", "\"x\"", "null"};
    ck_assert_uint_eq(list.count, ARRAY_LENGTH(items));
    ck_assert(list.has_more);
    for (size_t i = 0; i < list.count; i++) {
        ck_assert_text_eq(list.items[i], items[i]);
    }
}
END_TEST

START_TEST(an_empty_page_is_one)
{
    struct event_list list;
    ck_assert_int_eq(parse("{\"object\":\"list\",\"data\":[],\"has_more\":false}", &list), 0);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_int_eq(parse("{\"data\":[ ],\"object\":\"list\"}", &list), 0);
    ck_assert(!list.has_more);
}
END_TEST

START_TEST(data_inside_of_other_members_is_not_taken)
{
    struct event_list list;
    ck_assert_int_eq(parse("{\"x\":{\"data\":[1,2]},\"y\":[\"data\"],\"object\":\"list\",\"data\":[3]}", &list), 0);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_text_eq(list.items[0], "3");
}
END_TEST

static const char *const others[] = {
    "",
    "null",
    "[]",
    "{}",
    "{\"object\":\"list\"}",
    "{\"object\":\"list\",\"data\":{}}",
    "{\"object\":\"list\",\"data\":[}",
    "{\"object\":\"list\",\"data\":[",
    "{\"object\":\"list\",\"data\":[1,]}",
    "{\"object\":\"charge\",\"data\":[]}",
    "<html>",
};

START_TEST(what_is_no_page_is_told)
{
    struct event_list list;
    ck_assert_int_eq(parse(others[_i], &list), EVENT_LIST_NOT_ONE);
}
END_TEST

START_TEST(a_page_longer_than_stripe_allows_is_refused)
{
    struct buffer body = {0};
    struct event_list list;
    buffer_append_string(&body, "{\"object\":\"list\",\"data\":[0");
    for (int i = 1; i < EVENT_LIST_MAXIMUM; i++) {
        buffer_append_string(&body, ",0");
    }
    size_t length = body.length;
    buffer_append_string(&body, "]}");
    ck_assert_int_eq(event_list_parse(buffer_text(&body), &list), 0);
    ck_assert_uint_eq(list.count, EVENT_LIST_MAXIMUM);
    body.length = length;
    buffer_append_string(&body, ",0]}");
    ck_assert_int_eq(event_list_parse(buffer_text(&body), &list), EVENT_LIST_NOT_ONE);
    buffer_free(&body);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_page_as_stripe_sends_it_is_read);
    tcase_add_test(tests, each_event_keeps_the_bytes_that_stripe_sent);
    tcase_add_test(tests, an_empty_page_is_one);
    tcase_add_test(tests, data_inside_of_other_members_is_not_taken);
    tcase_add_loop_test(tests, what_is_no_page_is_told, 0, ARRAY_LENGTH(others));
    tcase_add_test(tests, a_page_longer_than_stripe_allows_is_refused);
}

int main(void)
{
    return unit_run("event_list", fill);
}
