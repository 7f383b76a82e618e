#include "unit.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "app/mail_writer.h"

static char folder[] = "/tmp/identihook-mails-XXXXXX";

static struct settings settings = {
    .mail_templates = folder, .mail_from = "Shop <identity@shop.example>", .brand_color = "#000000"};

static void put(const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    (void)fclose(file);
}

static void make(const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
    char command[100];
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct mail_writer *open_writer(void)
{
    struct mail_writer *writer;
    struct buffer faults = {0};
    int status = mail_writer_open(&settings, &writer, &faults);
    ck_assert_msg(status == 0, "%s", faults.data);
    buffer_free(&faults);
    return writer;
}

static void check_text(struct mail_writer *writer, const char *locale, const char *wanted)
{
    struct mail_facts facts = {.kind = MAIL_VERIFIED, .locale = locale};
    struct mail_text text;
    ck_assert_int_eq(mail_writer_write_text(writer, &facts, &text), 0);
    ck_assert_str_eq(text.plain.data, wanted);
    mail_text_free(&text);
}

/* What may lie in a folder besides: an editor's and a version control's files, pictures, and the way in which
 * Kubernetes mounts files. */
START_TEST(what_is_no_template_is_passed_over)
{
    char target[200];
    put("verified.txt~", "{{");
    put("README.md", "{{");
    put("logo.png", "\xff");
    put(".verified.txt", "{{");
    make(".git");
    put(".git/verified.txt", "{{");
    make("pictures!");
    put("pictures!/verified.txt", "{{");
    make("..data");
    put("..data/verified.txt", "mounted\n");
    (void)snprintf(target, sizeof(target), "%s/verified.txt", folder);
    ck_assert_int_eq(symlink("..data/verified.txt", target), 0);
    make("de");
    make("de/old");
    put("de/old/verified.txt", "{{");
    put("de/verified.subject", "Betreff");
    put("de/verified.txt", "deutsch");
    put("de/verified.html", "<p>deutsch");
    struct mail_writer *writer = open_writer();
    check_text(writer, NULL, "mounted\n");
    check_text(writer, "de-AT", "deutsch");
    mail_writer_close(writer);
}
END_TEST

START_TEST(what_cannot_be_read_is_a_fault)
{
    struct mail_writer *writer;
    struct buffer faults = {0};
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/verified.txt", folder);
    ck_assert_int_eq(symlink("nowhere", path), 0);
    ck_assert_int_eq(mail_writer_open(&settings, &writer, &faults), MAIL_WRITER_FAULTY);
    ck_assert_ptr_nonnull(strstr(faults.data, "is a link broken?"));
    ck_assert_ptr_null(writer);
    settings.mail_templates = "/nowhere/at/all";
    buffer_clear(&faults);
    ck_assert_int_eq(mail_writer_open(&settings, &writer, &faults), MAIL_WRITER_FAULTY);
    ck_assert_str_eq(faults.data, "/nowhere/at/all: cannot be read: No such file or directory\n");
    buffer_free(&faults);
}
END_TEST

START_TEST(a_faulty_reload_changes_nothing)
{
    struct buffer faults = {0};
    put("verified.txt", "first\n");
    struct mail_writer *writer = open_writer();
    put("verified.txt", "{{nobody}}");
    put("verified.html", "<p");
    ck_assert_int_eq(mail_writer_reload(writer, &faults), MAIL_WRITER_FAULTY);
    ck_assert_ptr_nonnull(strstr(faults.data, "/verified.txt:1: there is no variable 'nobody'"));
    ck_assert_ptr_nonnull(strstr(faults.data, "/verified.html:1: it ends within a tag"));
    check_text(writer, NULL, "first\n");
    put("verified.txt", "second\n");
    put("verified.html", "<p>");
    buffer_clear(&faults);
    ck_assert_int_eq(mail_writer_reload(writer, &faults), 0);
    check_text(writer, NULL, "second\n");
    mail_writer_close(writer);
    buffer_free(&faults);
}
END_TEST

/* ---- several loops write while the templates are exchanged */

static atomic_bool over;

static void write_on(void *context)
{
    struct mail_order order = {
        .kind = MAIL_VERIFIED, .to = TEXT("person@example.com"), .event = TEXT("evt_1"), .livemode = true};
    while (!atomic_load(&over)) {
        struct written_mail mail;
        ck_assert_int_eq(mail_writer_write(context, &order, &mail), 0);
        ck_assert(strstr(mail.message.data, "first") || strstr(mail.message.data, "second"));
        ck_assert_str_eq(mail.to, "person@example.com");
        buffer_wipe(&mail.message);
    }
}

START_TEST(mails_are_written_while_templates_are_exchanged)
{
    uv_thread_t threads[2];
    struct buffer faults = {0};
    put("verified.txt", "first\n");
    struct mail_writer *writer = open_writer();
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        ck_assert_int_eq(uv_thread_create(&threads[i], write_on, writer), 0);
    }
    for (int i = 0; i < 50; i++) {
        put("verified.txt", i % 2 ? "first\n" : "second\n");
        ck_assert_int_eq(mail_writer_reload(writer, &faults), 0);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        (void)uv_thread_join(&threads[i]);
    }
    mail_writer_close(writer);
    buffer_free(&faults);
}
END_TEST

START_TEST(an_address_that_is_none_is_told_apart_from_a_bad_sender)
{
    struct mail_writer *writer = open_writer();
    struct mail_order order = {.kind = MAIL_VERIFIED, .event = TEXT("evt_1")};
    static const char *const bad[] = {"", "nobody", "a@b\r\nBcc: c@d", "a@b, c@d", "A <a@b", "a@\xc3\xbc..example"};
    struct written_mail mail;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        order.to = text_of(bad[i]);
        ck_assert_int_eq(mail_writer_write(writer, &order, &mail), MAIL_WRITER_BAD_RECIPIENT);
        buffer_wipe(&mail.message);
    }
    order.to = TEXT("j\xc3\xb6rg@b\xc3\xbc"
                    "cher.example");
    ck_assert_int_eq(mail_writer_write(writer, &order, &mail), 0);
    ck_assert_str_eq(mail.to, "j\xc3\xb6rg@xn--bcher-kva.example");
    ck_assert_str_eq(mail.from, "identity@shop.example");
    ck_assert_ptr_nonnull(strstr(mail.message.data, "\r\nTo: <j\xc3\xb6rg@xn--bcher-kva.example>\r\n"));
    buffer_wipe(&mail.message);
    settings.mail_from = "nobody";
    ck_assert_int_eq(mail_writer_write(writer, &order, &mail), MAIL_WRITER_BAD_SENDER);
    buffer_wipe(&mail.message);
    mail_writer_close(writer);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_no_template_is_passed_over);
    tcase_add_test(tests, what_cannot_be_read_is_a_fault);
    tcase_add_test(tests, a_faulty_reload_changes_nothing);
    tcase_add_test(tests, mails_are_written_while_templates_are_exchanged);
    tcase_add_test(tests, an_address_that_is_none_is_told_apart_from_a_bad_sender);
}

int main(void)
{
    return unit_run("mail_writer", fill);
}
