#include "unit.h"

#include "net/mail_domain.h"

static const struct {
    const char *address;
    const char *ascii; /* NULL: refused */
} addresses[] = {
    {"a@b.example", "a@b.example"},
    {"Ab+c@B.Example", "Ab+c@B.Example"},
    {"ida@b\xc3\xbc"
     "cher.example",
     "ida@xn--bcher-kva.example"},
    {"ida@B\xc3\x9c"
     "CHER.example",
     "ida@xn--bcher-kva.example"},
    {"j\xc3\xb6rg@b\xc3\xbc"
     "cher.example",
     "j\xc3\xb6rg@xn--bcher-kva.example"},
    {"a@\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "a@xn--r8jz45g.xn--zckzah"},
    {"a@\xc3\xbc..example", NULL},
    {"a@b\xc3\xbc/c.example", NULL},
    {"a@b\xc3\xbc:25", NULL},
    {"a@b\xc3\xbc c", NULL},
    {"a@-\xc3\xbc.example", NULL},
    {"a@\xe2\x80\xae.example", NULL},
};

START_TEST(a_domain_is_written_as_dns_wants_it)
{
    char ascii[MAIL_ADDRESS_SIZE];
    struct buffer fault = {0};
    ck_assert_int_eq(mail_domain_library_open(&fault), 0);
    int status = mail_domain_to_ascii(text_of(addresses[_i].address), ascii);
    ck_assert_msg((status == 0) == (addresses[_i].ascii != NULL), "%s: %d", addresses[_i].address, status);
    if (status == 0) {
        ck_assert_str_eq(ascii, addresses[_i].ascii);
    }
    buffer_free(&fault);
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
    char ascii[MAIL_ADDRESS_SIZE];
    char longer[MAIL_ADDRESS_SIZE + 1];
    struct text address = {.data = longer, .length = 255};
    for (size_t i = 0; i < sizeof(longer); i++) {
        longer[i] = i == 1 ? '@' : i % 60 == 59 ? '.' : 'a';
    }
    ck_assert_int_eq(mail_domain_to_ascii(address, ascii), 0);
    address.length++;
    ck_assert_int_lt(mail_domain_to_ascii(address, ascii), 0);
    longer[59] = 'a'; /* a label of more than 63 */
    address.length = 130;
    ck_assert_int_lt(mail_domain_to_ascii(address, ascii), 0);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, a_domain_is_written_as_dns_wants_it, 0, (int)ARRAY_LENGTH(addresses));
    tcase_add_test(tests, what_is_too_long_is_refused);
}

int main(void)
{
    return unit_run("mail_domain", fill);
}
