#include "unit.h"

#include <openssl/evp.h>

#include "base/mail_address.h"
#include "core/mail_message.h"

static struct mail_message sample(void)
{
    return (struct mail_message){
        .from = {.name = TEXT("Example"), .address = TEXT("identity@example.com")},
        .to = {.address = TEXT("jenny@example.org")},
        .event = TEXT("evt_1"),
        .subject = TEXT("Hello"),
        .plain = TEXT("One\nTwo\n"),
        .html = TEXT("<p>One</p>\n"),
        .date = 1793268500,
    };
}

static struct buffer write(const struct mail_message *message)
{
    struct buffer out = {0};
    ck_assert_int_eq(mail_message_write(message, &out), 0);
    struct text rest = buffer_text(&out);
    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        ck_assert_uint_ge(line.length, 1);
        ck_assert_int_eq(line.data[line.length - 1], '\r');
        ck_assert_uint_le(line.length, 79); /* with its \r */
        ck_assert_ptr_null(memchr(line.data, '\r', line.length - 1));
    }
    return out;
}

static void has(const struct mail_message *message, const char *part)
{
    struct buffer out = write(message);
    ck_assert_msg(strstr(out.data, part) != NULL, "no '%s' in: %s", part, out.data);
    buffer_free(&out);
}

START_TEST(a_mail_has_its_headers_and_both_bodies)
{
    struct mail_message message = sample();
    struct buffer out = write(&message);
    ck_assert_str_eq(out.data, "From: Example <identity@example.com>\r\n"
                               "To: <jenny@example.org>\r\n"
                               "Subject: Hello\r\n"
                               "Date: Thu, 29 Oct 2026 10:08:20 +0000\r\n"
                               "Message-ID: <evt_1.email@example.com>\r\n"
                               "Auto-Submitted: auto-generated\r\n"
                               "X-Auto-Response-Suppress: All\r\n"
                               "MIME-Version: 1.0\r\n"
                               "Content-Type: multipart/alternative;\r\n"
                               " boundary=\"=_identihook_alternative\"\r\n"
                               "\r\n"
                               "--=_identihook_alternative\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Transfer-Encoding: quoted-printable\r\n"
                               "\r\n"
                               "One\r\n"
                               "Two\r\n"
                               "--=_identihook_alternative\r\n"
                               "Content-Type: text/html; charset=utf-8\r\n"
                               "Content-Transfer-Encoding: quoted-printable\r\n"
                               "\r\n"
                               "<p>One</p>\r\n"
                               "--=_identihook_alternative--\r\n");
    buffer_free(&out);
}
END_TEST

static const struct {
    const char *subject;
    const char *header;
} subjects[] = {
    {"", "\r\nSubject: \r\n"},
    {"a b", "\r\nSubject: a b\r\n"},
    {"This is a rather long subject, which no mail program would show on one line, and which is to be folded",
     "\r\nSubject: This is a rather long subject, which no mail program would show on\r\n"
     " one line, and which is to be folded\r\n"},
    {"Gr\xc3\xbc\xc3\x9f Gott", "\r\nSubject: =?utf-8?B?R3LDvMOfIEdvdHQ=?=\r\n"},
    {"=?utf-8?B?YQ==?=", "\r\nSubject: =?utf-8?B?PT91dGYtOD9CP1lRPT0/PQ==?=\r\n"},
    {"a\r\nBcc: everybody@example.com", "\r\nSubject: =?utf-8?B?YQ0KQmNjOiBldmVyeWJvZHlAZXhhbXBsZS5jb20=?=\r\n"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "\r\nSubject: =?utf-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh?=\r\n"
     " =?utf-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYQ==?=\r\n"},
    {"\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91"
     "\xf0\x9f\x94\x91-\xf0\x9f\x94\x91",
     "8J+UkfCflJHwn5SR8J+UkfCflJHwn5SR8J+UkfCflJEt?=\r\n =?utf-8?B?8J+UkQ==?=\r\n"}, /* ends between characters */
};

START_TEST(a_subject_is_folded_or_encoded)
{
    struct mail_message message = sample();
    message.subject = text_of(subjects[_i].subject);
    has(&message, subjects[_i].header);
}
END_TEST

static const struct {
    const char *name;
    const char *header;
} names[] = {
    {"", "From: <identity@example.com>\r\n"},
    {"Example Shop", "From: Example Shop <identity@example.com>\r\n"},
    {"Example, Inc.", "From: \"Example, Inc.\" <identity@example.com>\r\n"},
    {"Zo\xc3\xab, Inc.", "From: =?utf-8?B?Wm/DqywgSW5jLg==?= <identity@example.com>\r\n"},
    {"a\"b", "From: =?utf-8?B?YSJi?= <identity@example.com>\r\n"},
    {"a\r\nBcc: b", "From: =?utf-8?B?YQ0KQmNjOiBi?= <identity@example.com>\r\n"},
    {"A company with a name that is so long that it does not fit beside its address",
     "From: =?utf-8?B?QSBjb21wYW55IHdpdGggYSBuYW1lIHRoYXQgaXMgc28gbG9u?=\r\n"
     " =?utf-8?B?ZyB0aGF0IGl0IGRvZXMgbm90IGZpdCBiZXNpZGUgaXRzIGFk?=\r\n"
     " =?utf-8?B?ZHJlc3M=?=\r\n"
     " <identity@example.com>\r\n"},
};

START_TEST(a_name_stands_as_it_is_or_quoted_or_encoded)
{
    struct mail_message message = sample();
    message.from.name = text_of(names[_i].name);
    has(&message, names[_i].header);
}
END_TEST

START_TEST(an_international_address_stands_as_it_is)
{
    struct mail_message message = sample();
    message.to.address = TEXT("j\xc3\xb6rg@xn--bcher-kva.example");
    has(&message, "\r\nTo: <j\xc3\xb6rg@xn--bcher-kva.example>\r\n");
}
END_TEST

START_TEST(answers_go_where_they_are_to_go)
{
    struct mail_message message = sample();
    message.reply_to = (struct mailbox){.name = TEXT("Help"), .address = TEXT("help@example.com")};
    has(&message, "\r\nReply-To: Help <help@example.com>\r\n");
}
END_TEST

static const struct {
    const char *text;
    const char *encoded;
} bodies[] = {
    {"a = b\n", "\r\n\r\na =3D b\r\n--"},
    {"a \n\tb\t\n", "\r\n\r\na=20\r\n\tb=09\r\n--"},
    {"no line end", "\r\n\r\nno line end\r\n--"},
    {".\n..\nFrom here\nFro\n", "\r\n\r\n=2E\r\n=2E.\r\n=46rom here\r\nFro\r\n--"},
    {"--=_identihook_alternative--\n", "\r\n\r\n--=3D_identihook_alternative--\r\n--"},
    {"One line has \xc3\xbc in it\n", "\r\n\r\nOne line has =C3=BC in it\r\n--"},
    {"\xc3\xbc\xc3\xbc\n", "base64\r\n\r\nw7zDvA0K\r\n--"},
    {"1234567890123456789012345678901234567890123456789012345678901234567890123456\n",
     "\r\n\r\n1234567890123456789012345678901234567890123456789012345678901234567890123456\r\n--"},
    {"12345678901234567890123456789012345678901234567890123456789012345678901234567\n",
     "\r\n\r\n123456789012345678901234567890123456789012345678901234567890123456789012345=\r\n67\r\n--"},
    {"1234567890123456789012345678901234567890123456789012345678901234567890123= \n",
     "\r\n\r\n1234567890123456789012345678901234567890123456789012345678901234567890123=\r\n=3D=20\r\n--"},
};

START_TEST(a_body_is_encoded_so_that_no_relay_changes_it)
{
    struct mail_message message = sample();
    message.plain = text_of(bodies[_i].text);
    has(&message, bodies[_i].encoded);
}
END_TEST

START_TEST(every_line_is_short)
{
    struct mail_message message = sample();
    struct buffer longer = {0};
    for (int i = 0; i < 500; i++) {
        buffer_append_string(&longer, i % 7 ? "a long line without an end " : "\xc3\xbc.=");
    }
    message.plain = buffer_text(&longer);
    struct buffer out = write(&message);
    ck_assert_uint_gt(out.length, longer.length);
    buffer_free(&longer);
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
    {"\xeb@b", NULL},
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

START_TEST(a_bad_address_makes_no_mail)
{
    static const char *const bad[] = {"a@b\r\nBcc: c@d", "a@b>, <c@d", "A <a@b>", "", "a@b "};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct mail_message message = sample();
        struct buffer out = {0};
        message.to.address = text_of(bad[i]);
        ck_assert_int_lt(mail_message_write(&message, &out), 0);
        message = sample();
        message.from.address = text_of(bad[i]);
        ck_assert_int_lt(mail_message_write(&message, &out), 0);
        message = sample();
        message.reply_to.address = text_of(bad[i]);
        ck_assert_int_eq(mail_message_write(&message, &out) < 0, bad[i][0] != '\0');
        buffer_free(&out);
    }
}
END_TEST

static const char *const named[][2] = {
    {"A B <a@b>", "A B"}, {"\"A, B\" <a@b>", "A, B"}, {"a@b", ""},
    {"<a@b>", ""},        {" \"A\"<a@b>", "A"},       {"\" <a@b>", "\""},
};

START_TEST(the_name_is_what_stands_in_front)
{
    ck_assert_text_eq(mail_address_name(text_of(named[_i][0])), named[_i][1]);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_mail_has_its_headers_and_both_bodies);
    tcase_add_loop_test(tests, a_subject_is_folded_or_encoded, 0, (int)ARRAY_LENGTH(subjects));
    tcase_add_loop_test(tests, a_name_stands_as_it_is_or_quoted_or_encoded, 0, (int)ARRAY_LENGTH(names));
    tcase_add_test(tests, an_international_address_stands_as_it_is);
    tcase_add_test(tests, answers_go_where_they_are_to_go);
    tcase_add_loop_test(tests, a_body_is_encoded_so_that_no_relay_changes_it, 0, (int)ARRAY_LENGTH(bodies));
    tcase_add_test(tests, every_line_is_short);
    tcase_add_loop_test(tests, addresses_are_taken_only_when_they_cannot_do_harm, 0, (int)ARRAY_LENGTH(addresses));
    tcase_add_test(tests, a_bad_address_makes_no_mail);
    tcase_add_loop_test(tests, the_name_is_what_stands_in_front, 0, (int)ARRAY_LENGTH(named));
}

int main(void)
{
    return unit_run("mail_message", fill);
}
