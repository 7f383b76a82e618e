#include "unit.h"

#include "core/mail_templates.h"

static struct settings settings = {.brand_color = "#2f54c8"};

static struct mail_templates *create(const struct mail_template_file *files, size_t count)
{
    struct mail_templates *templates;
    struct buffer faults = {0};
    int status = mail_templates_create(files, count, &templates, &faults);
    ck_assert_msg(status == 0, "%s", faults.data);
    buffer_free(&faults);
    return templates;
}

static struct mail_text write(const struct mail_templates *templates, const char *code, const char *locale)
{
    struct mail_text text;
    struct mail_facts facts = {.settings = &settings,
                               .kind = code ? MAIL_REQUIRES_INPUT : MAIL_VERIFIED,
                               .code = error_code_find(code),
                               .locale = locale,
                               .livemode = true};
    ck_assert_int_eq(mail_templates_write(templates, &facts, &text), 0);
    return text;
}

static void both_have(const struct mail_text *text, const char *words)
{
    ck_assert_msg(strstr(text->plain.data, words) != NULL, "no '%s' in: %s", words, text->plain.data);
    ck_assert_msg(strstr(text->html.data, words) != NULL, "no '%s' in: %s", words, text->html.data);
}

static const char *find(const char *text, const char *words)
{
    struct text part = {.length = strlen(words)};
    for (; *text && strlen(text) >= part.length; text++) {
        part.data = text;
        if (text_equal_ignoring_case(part, text_of(words))) {
            return text;
        }
    }
    return NULL;
}

static void none_has(const struct mail_text *text, const char *words)
{
    ck_assert_msg(find(text->plain.data, words) == NULL, "'%s' in: %s", words, text->plain.data);
    ck_assert_msg(find(text->html.data, words) == NULL, "'%s' in: %s", words, text->html.data);
    ck_assert_msg(find(text->subject.data, words) == NULL, "'%s' in: %s", words, text->subject.data);
}

static void fill_settings(void)
{
    settings = (struct settings){
        .brand_name = "Shop & Sons",
        .brand_color = "#2f54c8",
        .support_address = "help@shop.example",
        .retry_page = "https://app.example/verify?a=1&b=2",
        .alternative_page = "https://app.example/otherwise",
    };
}

/* ---- the built-in ones */

START_TEST(each_code_has_its_own_words_and_offers_what_can_help)
{
    static const char *const final[] = {"consent_declined", "country_not_supported", "under_supported_age"};
    const struct error_code *code = &error_codes[_i];
    struct mail_templates *templates = create(NULL, 0);
    fill_settings();
    struct mail_text text = write(templates, code->code, NULL);
    bool ends = false;
    for (size_t i = 0; i < ARRAY_LENGTH(final); i++) {
        ends = ends || strcmp(code->code, final[i]) == 0;
    }
    ck_assert_int_eq(code->retryable, !ends);
    ck_assert_str_eq(text.subject.data, code->title);
    ck_assert_ptr_nonnull(strstr(text.plain.data, code->happened));
    ck_assert_ptr_nonnull(strstr(text.plain.data, code->advice));
    ck_assert_int_eq(strstr(text.plain.data, "https://app.example/verify?a=1&b=2") != NULL, code->retryable);
    ck_assert_int_eq(strstr(text.html.data, "href=\"https://app.example/verify?a=1&amp;b=2\"") != NULL,
                     code->retryable);
    ck_assert_int_eq(strstr(text.plain.data, "https://app.example/otherwise") != NULL, code->alternative);
    ck_assert_int_eq(strstr(text.html.data, "href=\"https://app.example/otherwise\"") != NULL, code->alternative);
    if (ends) {
        none_has(&text, "again");
    }
    none_has(&text, "stripe");
    both_have(&text, "help@shop.example");
    ck_assert_ptr_nonnull(strstr(text.plain.data, "Shop & Sons"));
    ck_assert_ptr_nonnull(strstr(text.html.data, "Shop &amp; Sons"));
    for (size_t i = 0; i < error_code_count; i++) {
        ck_assert(&error_codes[i] == code || strcmp(error_codes[i].happened, code->happened) != 0);
    }
    mail_text_free(&text);
    mail_templates_free(templates);
}
END_TEST

START_TEST(without_pages_and_brand_the_texts_are_whole_and_have_no_link)
{
    struct mail_templates *templates = create(NULL, 0);
    struct mail_text again = write(templates, "document_expired", NULL);
    struct mail_text declined = write(templates, "consent_declined", NULL);
    struct mail_text fine = write(templates, NULL, NULL);
    both_have(&again, "go back to where you started");
    both_have(&fine, "identity has been confirmed");
    ck_assert_str_eq(fine.subject.data, "Your identity is confirmed");
    struct mail_text *texts[] = {&again, &declined, &fine};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        none_has(texts[i], "http");
        none_has(texts[i], "href");
        none_has(texts[i], "<img");
        ck_assert_ptr_null(strstr(texts[i]->plain.data, "\n\n\n"));
        mail_text_free(texts[i]);
    }
    mail_templates_free(templates);
}
END_TEST

START_TEST(an_unknown_code_and_none_have_a_general_text)
{
    struct mail_templates *templates = create(NULL, 0);
    fill_settings();
    struct mail_text text = write(templates, "brand_new_code", NULL);
    both_have(&text, error_codes[error_code_count - 1].happened);
    both_have(&text, "https://app.example/verify");
    none_has(&text, "brand_new_code");
    mail_text_free(&text);
    mail_templates_free(templates);
}
END_TEST

START_TEST(a_logo_takes_the_place_of_the_name)
{
    struct mail_templates *templates = create(NULL, 0);
    fill_settings();
    settings.brand_logo_url = "https://cdn.example/logo.png?\"><script>";
    settings.brand_color = "#ffd400";
    struct mail_text text = write(templates, "abandoned", NULL);
    ck_assert_ptr_nonnull(strstr(text.html.data, "src=\"https://cdn.example/logo.png?&quot;&gt;&lt;script&gt;\""));
    ck_assert_ptr_nonnull(strstr(text.html.data, "alt=\"Shop &amp; Sons\""));
    ck_assert_ptr_nonnull(strstr(text.html.data, "background-color:#ffd400; color:#000000;"));
    mail_text_free(&text);
    mail_templates_free(templates);
}
END_TEST

/* ---- overridden */

START_TEST(a_template_gets_no_page_that_is_not_for_the_person)
{
    static const struct mail_template_file file = {.path = "t",
                                                   .locale = "",
                                                   .name = "requires_input.txt",
                                                   .content = TEXT("[{{retry.page}}|{{alternative.page}}]")};
    static const char *const texts[][2] = {
        {"document_expired", "[https://app.example/verify?a=1&b=2|]"},
        {"consent_declined", "[|https://app.example/otherwise]"},
        {"under_supported_age", "[|]"},
    };
    struct mail_templates *templates = create(&file, 1);
    fill_settings();
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct mail_text text = write(templates, texts[i][0], NULL);
        ck_assert_str_eq(text.plain.data, texts[i][1]);
        mail_text_free(&text);
    }
    mail_templates_free(templates);
}
END_TEST

#define GERMAN(kind, folder)                                                                                           \
    {.path = folder "/" kind ".subject", .locale = folder, .name = kind ".subject", .content = TEXT("Betreff\n\n")},   \
        {.path = folder "/" kind ".txt", .locale = folder, .name = kind ".txt", .content = TEXT("{{locale}}\n")},      \
    {                                                                                                                  \
        .path = folder "/" kind ".html", .locale = folder, .name = kind ".html", .content = TEXT("<p>{{locale}}")      \
    }

static const struct {
    const char *locale;
    const char *text;
} wanted[] = {
    {NULL, "root\n"},        {"", "root\n"},           {"fr", "root\n"},
    {"de", "de\n"},          {"DE", "de\n"},           {"de-AT", "de\n"},
    {"pt-BR", "pt-BR\n"},    {"pt_br", "pt-BR\n"},     {"pt-PT", "root\n"},
    {"pt", "root\n"},        {"de-", "root\n"},        {"../de", "root\n"},
    {"d\xc3\xa9", "root\n"}, {"zh-Hant-TW", "root\n"}, {"de-1996-x-a-b-c-d-e-f-g-h-i-j-k-l-m-n", "root\n"},
    {"de-CH-1996", "ch\n"},  {"-", "root\n"},
};

START_TEST(the_nearest_language_is_taken)
{
    static const struct mail_template_file files[] = {
        {.path = "/t/verified.txt", .locale = "", .name = "verified.txt", .content = TEXT("root\n")},
        {.path = "/t/de-CH/verified.txt", .locale = "de-CH", .name = "verified.txt", .content = TEXT("ch\n")},
        GERMAN("verified", "de"),
        GERMAN("verified", "pt-BR"),
    };
    struct mail_templates *templates = create(files, ARRAY_LENGTH(files));
    struct mail_text text = write(templates, NULL, wanted[_i].locale);
    bool root = strcmp(wanted[_i].text, "root\n") == 0;
    ck_assert_str_eq(text.plain.data, wanted[_i].text);
    ck_assert_str_eq(text.subject.data, root ? "Your identity is confirmed" : "Betreff");
    mail_text_free(&text);
    text = write(templates, "abandoned", wanted[_i].locale); /* no language has this mail */
    both_have(&text, "did not finish");
    mail_text_free(&text);
    mail_templates_free(templates);
}
END_TEST

START_TEST(a_language_has_its_own_words_for_each_code)
{
    struct buffer words = {0};
    for (size_t i = 0; i < error_code_count; i++) {
        buffer_append_format(&words, "%s.happened: Grund %zu: \xc3\xbc\r\n# nichts\n\n", error_codes[i].code, i);
    }
    struct mail_template_file files[] = {
        {.path = "de/a", .locale = "de", .name = "requires_input.subject", .content = TEXT("Betreff")},
        {.path = "de/b", .locale = "de", .name = "requires_input.txt", .content = TEXT("{{reason.happened}}")},
        {.path = "de/c", .locale = "de", .name = "requires_input.html", .content = TEXT("{{reason.happened}}")},
        {.path = "de/d", .locale = "de", .name = "reasons.txt", .content = buffer_text(&words)},
        {.path = "e", .locale = "", .name = "reasons.txt", .content = TEXT("abandoned.happened: You left.")},
    };
    struct mail_templates *templates = create(files, ARRAY_LENGTH(files));
    struct mail_text text = write(templates, "consent_declined", "de");
    ck_assert_str_eq(text.plain.data, "Grund 1: \xc3\xbc");
    mail_text_free(&text);
    text = write(templates, "abandoned", NULL);
    both_have(&text, "You left.");
    both_have(&text, error_code_find("abandoned")->advice);
    mail_text_free(&text);
    mail_templates_free(templates);
    buffer_free(&words);
}
END_TEST

static const struct {
    struct mail_template_file file;
    const char *fault;
} faulty[] = {
    {{"/t/verified.txt", "", "verified.txt", {"a\n{{x}}", 7}}, "/t/verified.txt:2: there is no variable 'x'"},
    {{"/t/verifed.txt", "", "verifed.txt", {"", 0}}, "/t/verifed.txt: is no file of a mail"},
    {{"/t/verified.htm", "", "verified.htm", {"", 0}}, "/t/verified.htm: is no file of a mail"},
    {{"/t/german!/verified.txt", "german!", "verified.txt", {"", 0}}, "its folder is not named like a language"},
    {{"/t/de/verified.txt", "de", "verified.txt", {"", 0}}, "de/verified.html: is missing"},
    {{"/t/de/reasons.txt", "de", "reasons.txt", {"", 0}}, "de/reasons.txt: there is no requires_input.txt"},
    {{"/t/reasons.txt", "", "reasons.txt", {"#\nabandoned.title\n", 18}}, "/t/reasons.txt:2: there are no words"},
    {{"/t/reasons.txt", "", "reasons.txt", {"abandoned.name: x", 17}}, "/t/reasons.txt:1: this is not"},
    {{"/t/reasons.txt", "", "reasons.txt", {"nothing.title: x", 16}}, "/t/reasons.txt:1: this is not"},
    {{"/t/reasons.txt", "", "reasons.txt", {"unknown.title: \xff", 16}}, "/t/reasons.txt:1: this line has"},
    {{"/t/reasons.txt", "", "reasons.txt", {"unknown.title: a\nunknown.title: b", 33}},
     "/t/reasons.txt:2: this one is there twice"},
};

START_TEST(what_is_wrong_with_a_file_is_told)
{
    struct mail_templates *templates;
    struct buffer faults = {0};
    ck_assert_int_eq(mail_templates_create(&faulty[_i].file, 1, &templates, &faults), MAIL_TEMPLATES_FAULTY);
    ck_assert_ptr_null(templates);
    ck_assert_msg(strstr(faults.data, faulty[_i].fault) != NULL, "no '%s' in: %s", faulty[_i].fault, faults.data);
    buffer_free(&faults);
}
END_TEST

START_TEST(a_language_that_names_reasons_must_have_them)
{
    static const struct mail_template_file files[] = {
        {.path = "de/a", .locale = "de", .name = "requires_input.subject", .content = TEXT("{{reason.title}}")},
        {.path = "de/b", .locale = "de", .name = "requires_input.txt", .content = TEXT("x")},
        {.path = "de/c", .locale = "de", .name = "requires_input.html", .content = TEXT("x")},
        {.path = "DE/c", .locale = "DE", .name = "verified.html", .content = TEXT("x")},
        {.path = "v", .locale = "", .name = "verified.html", .content = TEXT("<p")},
    };
    struct mail_templates *templates;
    struct buffer faults = {0};
    ck_assert_int_eq(mail_templates_create(files, 3, &templates, &faults), MAIL_TEMPLATES_FAULTY);
    ck_assert_ptr_nonnull(strstr(faults.data, "de/reasons.txt: 'selfie_manipulated.title' is missing"));
    ck_assert_ptr_null(strstr(faults.data, ".advice"));
    buffer_clear(&faults);
    ck_assert_int_eq(mail_templates_create(files, 5, &templates, &faults), MAIL_TEMPLATES_FAULTY);
    ck_assert_ptr_nonnull(strstr(faults.data, "DE/c: its folder")); /* all of them at once */
    ck_assert_ptr_nonnull(strstr(faults.data, "v:1: it ends within a tag"));
    buffer_free(&faults);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, each_code_has_its_own_words_and_offers_what_can_help, 0, (int)error_code_count);
    tcase_add_test(tests, without_pages_and_brand_the_texts_are_whole_and_have_no_link);
    tcase_add_test(tests, an_unknown_code_and_none_have_a_general_text);
    tcase_add_test(tests, a_logo_takes_the_place_of_the_name);
    tcase_add_test(tests, a_template_gets_no_page_that_is_not_for_the_person);
    tcase_add_loop_test(tests, the_nearest_language_is_taken, 0, (int)ARRAY_LENGTH(wanted));
    tcase_add_test(tests, a_language_has_its_own_words_for_each_code);
    tcase_add_loop_test(tests, what_is_wrong_with_a_file_is_told, 0, (int)ARRAY_LENGTH(faulty));
    tcase_add_test(tests, a_language_that_names_reasons_must_have_them);
}

int main(void)
{
    return unit_run("mail_templates", fill);
}
