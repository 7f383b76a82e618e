#include "unit.h"

#include <openssl/evp.h>

#include "base/mail_address.h"
#include "core/mail_message.h"
#include "core/mail_text.h"

static struct mail_message sample(void)
{
    return (struct mail_message){
        .from = TEXT("Example <identity@example.com>"),
        .to = TEXT("jenny@example.org"),
        .event = TEXT("evt_1"),
        .subject = "Hello",
        .plain = TEXT("One\nTwo\n"),
        .html = TEXT("<p>One</p>\n"),
        .date = 1793268500,
    };
}

START_TEST(a_mail_has_its_headers_and_both_bodies)
{
    struct mail_message message = sample();
    struct buffer out = {0};
    ck_assert_int_eq(mail_message_write(&message, &out), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "From: Example <identity@example.com>\r\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "To: <jenny@example.org>\r\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "Message-ID: <evt_1.email@example.com>\r\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "Date: Thu, 29 Oct 2026 10:08:20 +0000\r\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "Content-Type: text/plain; charset=utf-8\r\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "T25lDQpUd28NCg==\r\n")); /* "One\r\nTwo\r\n" */
    ck_assert_ptr_nonnull(strstr(out.data, "Content-Type: text/html; charset=utf-8\r\n"));
    buffer_free(&out);
}
END_TEST

START_TEST(every_line_ends_in_crlf_and_is_short)
{
    struct mail_message message = sample();
    struct buffer out = {0};
    struct buffer longer = {0};
    for (int i = 0; i < 500; i++) {
        buffer_append_string(&longer, "a long line without an end ");
    }
    message.plain = buffer_text(&longer);
    ck_assert_int_eq(mail_message_write(&message, &out), 0);
    struct text rest = buffer_text(&out);
    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        ck_assert_uint_ge(line.length, 1);
        ck_assert_int_eq(line.data[line.length - 1], '\r');
        ck_assert_uint_le(line.length, 120);
        ck_assert_ptr_null(memchr(line.data, '\r', line.length - 1));
    }
    buffer_free(&longer);
    buffer_free(&out);
}
END_TEST

START_TEST(a_name_beyond_ascii_is_encoded)
{
    struct mail_message message = sample();
    struct buffer out = {0};
    message.from = TEXT("Zo\xc3\xab's "
                        "\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94"
                        "\x91\xf0\x9f\x94\x91 <a@b>");
    ck_assert_int_eq(mail_message_write(&message, &out), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "From: =?utf-8?B?"));
    for (size_t i = 0; i < out.length; i++) {
        ck_assert_uint_lt((unsigned char)out.data[i], 0x80);
    }
    buffer_free(&out);
}
END_TEST

static const struct {
    const char *text;
    const char *address; /* NULL: refused */
} addresses[] = {
    {"a@b", "a@b"},
    {" a@b ", "a@b"},
    {"A B <a@b>", "a@b"},
    {"<a@b>", "a@b"},
    {"\xc3\xab@b", "\xc3\xab@b"},
    {"a", NULL},
    {"@b", NULL},
    {"a@", NULL},
    {"a@b@c", NULL},
    {"a@b,c@d", NULL},
    {"a@b\r\nBcc: c@d", NULL},
    {"a@b>\r\nRCPT TO:<c@d", NULL},
    {"a b@c", NULL},
    {"\"a\"@b", NULL},
    {"A <a@b> x", NULL},
    {"", NULL},
};

START_TEST(addresses_are_taken_only_when_they_cannot_do_harm)
{
    struct text address;
    int status = mail_address_find(text_of(addresses[_i].text), &address);
    ck_assert_msg((status == 0) == (addresses[_i].address != NULL), "%s", addresses[_i].text);
    if (status == 0) {
        ck_assert_text_eq(address, addresses[_i].address);
    }
}
END_TEST

START_TEST(a_bad_recipient_makes_no_mail)
{
    struct mail_message message = sample();
    struct buffer out = {0};
    message.to = TEXT("a@b\r\nBcc: c@d");
    ck_assert_int_lt(mail_message_write(&message, &out), 0);
    buffer_free(&out);
}
END_TEST

/* ---- the texts */

START_TEST(a_failure_that_can_be_tried_again_links_to_the_retry_page_only)
{
    struct mail_text text;
    ck_assert_int_eq(mail_text_failed(&text, error_code_find("document_expired"), "https://app.example/verify?a=1&b=2"),
                     0);
    ck_assert_ptr_nonnull(strstr(text.plain.data, "https://app.example/verify?a=1&b=2"));
    ck_assert_ptr_nonnull(strstr(text.html.data, "href=\"https://app.example/verify?a=1&amp;b=2\""));
    ck_assert_ptr_nonnull(strstr(text.plain.data, error_code_find("document_expired")->message));
    ck_assert_ptr_null(strstr(text.html.data, "stripe.com"));
    mail_text_free(&text);
}
END_TEST

START_TEST(a_failure_that_cannot_be_tried_again_has_no_link)
{
    struct mail_text text;
    ck_assert_int_eq(mail_text_failed(&text, error_code_find("under_supported_age"), "https://app.example/verify"), 0);
    ck_assert_ptr_null(strstr(text.plain.data, "https://"));
    ck_assert_ptr_null(strstr(text.html.data, "href"));
    mail_text_free(&text);
}
END_TEST

START_TEST(the_page_is_escaped_in_html)
{
    struct mail_text text;
    ck_assert_int_eq(mail_text_failed(&text, error_code_find(NULL), "https://x/\"><script>"), 0);
    ck_assert_ptr_null(strstr(text.html.data, "<script>"));
    mail_text_free(&text);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_mail_has_its_headers_and_both_bodies);
    tcase_add_test(tests, every_line_ends_in_crlf_and_is_short);
    tcase_add_test(tests, a_name_beyond_ascii_is_encoded);
    tcase_add_loop_test(tests, addresses_are_taken_only_when_they_cannot_do_harm, 0, (int)ARRAY_LENGTH(addresses));
    tcase_add_test(tests, a_bad_recipient_makes_no_mail);
    tcase_add_test(tests, a_failure_that_can_be_tried_again_links_to_the_retry_page_only);
    tcase_add_test(tests, a_failure_that_cannot_be_tried_again_has_no_link);
    tcase_add_test(tests, the_page_is_escaped_in_html);
}

int main(void)
{
    return unit_run("mail_message", fill);
}
