#include "unit.h"

#include <errno.h>

#include "app/chore.h"
#include "loop.h"

#define EVERY_MS 5
#define NEVER_MS 3600000

/* Something that is done in turns which the tests end; what is told when it is gone outlives it. */
struct work {
    struct chore chore;
    int begin_status;
    unsigned begun;
};

static bool gone;

static int begin(struct chore *chore)
{
    struct work *work = CONTAINER_OF(chore, struct work, chore);
    work->begun++;
    return work->begin_status;
}

static struct work *open_work(uint64_t every_ms)
{
    struct work *work = calloc(1, sizeof(*work));
    loop_open();
    chore_open(&work->chore, &loop, every_ms, begin, work);
    return work;
}

static void close_work(struct work *work)
{
    chore_close(&work->chore, loop_on_closed, &gone);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void end(void)
{
    ck_assert(gone);
    loop_close();
}

START_TEST(a_turn_begins_every_so_often)
{
    struct work *work = open_work(EVERY_MS);
    uint64_t start = uv_now(&loop);
    for (unsigned turns = 1; turns <= 3; turns++) {
        TURN_UNTIL(work->begun == turns);
        ck_assert_uint_ge(uv_now(&loop) - start, turns * EVERY_MS);
        chore_done(&work->chore, EVERY_MS);
    }
    close_work(work);
    end();
}
END_TEST

START_TEST(while_a_turn_is_under_way_no_other_begins)
{
    struct work *work = open_work(EVERY_MS);
    TURN_UNTIL(work->begun == 1);
    chore_begin(&work->chore);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* nothing is left to ring */
    ck_assert_uint_eq(work->begun, 1);
    chore_done(&work->chore, EVERY_MS);
    TURN_UNTIL(work->begun == 2);
    chore_done(&work->chore, EVERY_MS);
    close_work(work);
    end();
}
END_TEST

START_TEST(a_turn_may_begin_before_its_time)
{
    struct work *work = open_work(NEVER_MS);
    chore_begin(&work->chore);
    ck_assert_uint_eq(work->begun, 1);
    chore_done(&work->chore, EVERY_MS);
    TURN_UNTIL(work->begun == 2); /* and the turn says when the next one is */
    chore_done(&work->chore, NEVER_MS);
    close_work(work);
    end();
}
END_TEST

START_TEST(what_cannot_begin_is_tried_again)
{
    struct work *work = open_work(EVERY_MS);
    work->begin_status = -ENOTCONN;
    TURN_UNTIL(work->begun == 3);
    work->begin_status = 0;
    TURN_UNTIL(work->begun == 4);
    chore_done(&work->chore, EVERY_MS);
    close_work(work);
    end();
}
END_TEST

START_TEST(it_is_gone_only_when_the_turn_under_way_has_ended)
{
    struct work *work = open_work(NEVER_MS);
    chore_begin(&work->chore);
    close_work(work);
    ck_assert(!gone);
    ck_assert(chore_is_closing(&work->chore));
    chore_done(&work->chore, EVERY_MS);
    end();
}
END_TEST

START_TEST(a_turn_that_ends_while_it_is_being_closed_is_the_last)
{
    struct work *work = open_work(EVERY_MS);
    TURN_UNTIL(work->begun == 1);
    chore_close(&work->chore, loop_on_closed, &gone);
    chore_done(&work->chore, EVERY_MS);
    ck_assert(!gone); /* the loop has its timer still */
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    end();
}
END_TEST

START_TEST(what_is_being_closed_begins_nothing)
{
    struct work *work = open_work(EVERY_MS);
    chore_close(&work->chore, loop_on_closed, &gone);
    chore_begin(&work->chore);
    ck_assert_uint_eq(work->begun, 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    end();
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_turn_begins_every_so_often);
    tcase_add_test(tests, while_a_turn_is_under_way_no_other_begins);
    tcase_add_test(tests, a_turn_may_begin_before_its_time);
    tcase_add_test(tests, what_cannot_begin_is_tried_again);
    tcase_add_test(tests, it_is_gone_only_when_the_turn_under_way_has_ended);
    tcase_add_test(tests, a_turn_that_ends_while_it_is_being_closed_is_the_last);
    tcase_add_test(tests, what_is_being_closed_begins_nothing);
}

int main(void)
{
    return unit_run("chore", fill);
}
