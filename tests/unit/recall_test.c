#include "unit.h"

#include "core/recall.h"

static struct recall recall;

static void keep(const char *session, int64_t asked_ms, uint64_t now_ms, const char *body)
{
    struct recall_name name = {.account = TEXT("acct_1"), .session = text_of(session)};
    recall_keep(&recall, &name, (struct recall_times){asked_ms, now_ms}, text_of(body));
}

static struct text find(const char *account, const char *session, int64_t since_ms, uint64_t now_ms)
{
    struct recall_name name = {.account = text_of(account), .session = text_of(session)};
    return recall_find(&recall, &name, (struct recall_times){since_ms, now_ms});
}

START_TEST(an_answer_serves_who_came_before_it_was_asked_for)
{
    keep("vs_1", 1000, 50, "one");
    ck_assert_text_eq(find("acct_1", "vs_1", 999, 60), "one");
    ck_assert_uint_eq(find("acct_1", "vs_1", 1000, 60).length, 0);
    ck_assert_uint_eq(find("acct_1", "vs_1", 1001, 60).length, 0);
    recall_clear(&recall);
}
END_TEST

START_TEST(it_serves_its_own_session_of_its_own_account_only)
{
    keep("vs_1", 1000, 50, "one");
    ck_assert_uint_eq(find("acct_1", "vs_12", 0, 60).length, 0);
    ck_assert_uint_eq(find("acct_1", "vs_", 0, 60).length, 0);
    ck_assert_uint_eq(find("", "vs_1", 0, 60).length, 0);
    ck_assert_uint_eq(find("acct_", "vs_1", 0, 60).length, 0);
    recall_clear(&recall);
}
END_TEST

START_TEST(it_is_forgotten_after_a_while)
{
    keep("vs_1", 1000, 50, "one");
    ck_assert_uint_gt(find("acct_1", "vs_1", 0, 50 + RECALL_AGE_MS).length, 0);
    ck_assert_uint_eq(find("acct_1", "vs_1", 0, 51 + RECALL_AGE_MS).length, 0);
    ck_assert_ptr_null(recall.answers[0].body.data);
    recall_clear(&recall);
}
END_TEST

START_TEST(the_oldest_one_makes_room)
{
    for (int i = 0; i <= RECALL_ANSWERS; i++) {
        char session[16];
        (void)snprintf(session, sizeof(session), "vs_%d", i);
        keep(session, 1000, 50, "one");
    }
    ck_assert_uint_eq(find("acct_1", "vs_0", 0, 60).length, 0);
    ck_assert_uint_gt(find("acct_1", "vs_1", 0, 60).length, 0);
    ck_assert_uint_gt(find("acct_1", "vs_16", 0, 60).length, 0);
    recall_clear(&recall);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, an_answer_serves_who_came_before_it_was_asked_for);
    tcase_add_test(tests, it_serves_its_own_session_of_its_own_account_only);
    tcase_add_test(tests, it_is_forgotten_after_a_while);
    tcase_add_test(tests, the_oldest_one_makes_room);
}

int main(void)
{
    return unit_run("recall", fill);
}
