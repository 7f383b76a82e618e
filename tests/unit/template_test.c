#include "unit.h"

#include "core/template.h"

enum { NAME, PAGE, COLOR, YES, OTHER };

static const struct template_variable variables[] = {
    [NAME] = {"name", TEMPLATE_TEXT}, [PAGE] = {"page", TEMPLATE_URL},    [COLOR] = {"color", TEMPLATE_COLOR},
    [YES] = {"yes", TEMPLATE_FLAG},   [OTHER] = {"other", TEMPLATE_TEXT}, {NULL, TEMPLATE_TEXT},
};

static const char *const values[] = {[NAME] = "O'Neil <\"&\">\n\x7f",
                                     [PAGE] = "https://x/?a=1&b='2'",
                                     [COLOR] = "#a1b2c3",
                                     [YES] = "yes",
                                     [OTHER] = NULL};

static int compile(const char *text, enum template_kind kind, struct template **template, struct buffer *faults)
{
    char *exact = strndup(text, strlen(text));
    struct template_source source = {.file = "mail.html", .text = text_of(exact), .kind = kind};
    int status = template_compile(&source, variables, template, faults);
    free(exact); /* it was copied */
    return status;
}

static const struct {
    enum template_kind kind;
    const char *text;
    const char *result;
} renderings[] = {
    {TEMPLATE_PLAIN, "", ""},
    {TEMPLATE_PLAIN, "a { b } }} c", "a { b } }} c"},
    {TEMPLATE_PLAIN, "{{name}}{{ page }}", "O'Neil <\"&\">  https://x/?a=1&b='2'"},
    {TEMPLATE_PLAIN, "[{{other}}]", "[]"},
    {TEMPLATE_PLAIN, "{{#yes}}a{{/yes}}{{^yes}}b{{/yes}}", "a"},
    {TEMPLATE_PLAIN, "{{#other}}a{{/other}}{{^other}}b{{/other}}", "b"},
    {TEMPLATE_PLAIN, "{{#yes}}1{{#other}}2{{/other}}3{{^other}}4{{/other}}{{/yes}}", "134"},
    {TEMPLATE_PLAIN, "a{{! not\nshown }}b", "ab"},
    {TEMPLATE_PLAIN, "a\n{{#yes}}\nb\n{{/yes}}\nc\n", "a\nb\nc\n"},
    {TEMPLATE_PLAIN, "a\r\n  {{#other}}  \r\nb\r\n\t{{/other}}\r\nc", "a\nc"},
    {TEMPLATE_PLAIN, "a\n{{! gone }}\nb\n{{! gone }}", "a\nb\n"},
    {TEMPLATE_PLAIN, "a {{#yes}}\nb{{/yes}}\nc", "a \nb\nc"},
    {TEMPLATE_PLAIN, "{{name}}\n{{other}}\n|", "O'Neil <\"&\">  \n\n|"},
    {TEMPLATE_HTML, "<p>{{name}}</p>", "<p>O&#39;Neil &lt;&quot;&amp;&quot;&gt;  </p>"},
    {TEMPLATE_HTML, "<p title=\"{{name}}\">", "<p title=\"O&#39;Neil &lt;&quot;&amp;&quot;&gt;  \">"},
    {TEMPLATE_HTML, "<p title = '{{name}}'>", "<p title = 'O&#39;Neil &lt;&quot;&amp;&quot;&gt;  '>"},
    {TEMPLATE_HTML, "<A HREF=\"{{page}}#x\">", "<A HREF=\"https://x/?a=1&amp;b=&#39;2&#39;#x\">"},
    {TEMPLATE_HTML, "<a href='https://x/{{name}}'>", "<a href='https://x/O%27Neil%20%3C%22%26%22%3E%20%20'>"},
    {TEMPLATE_HTML, "<a href=\"mailto:{{name}}\">", "<a href=\"mailto:O%27Neil%20%3C%22%26%22%3E%20%20\">"},
    {TEMPLATE_HTML, "<img src=\"{{page}}\" alt=\"{{name}}\"/>{{other}}",
     "<img src=\"https://x/?a=1&amp;b=&#39;2&#39;\" alt=\"O&#39;Neil &lt;&quot;&amp;&quot;&gt;  \"/>"},
    {TEMPLATE_HTML, "<p style=\"color:{{color}}\"><style>a{color:{{color}}}</style>{{page}}",
     "<p style=\"color:#a1b2c3\"><style>a{color:#a1b2c3}</style>https://x/?a=1&amp;b=&#39;2&#39;"},
    {TEMPLATE_HTML, "<a {{#yes}}title=\"{{name}}\"{{/yes}}>", "<a title=\"O&#39;Neil &lt;&quot;&amp;&quot;&gt;  \">"},
    {TEMPLATE_HTML, "<!-- a > b --><!doctype x>{{! <script> }}1 < 2 {{color}}",
     "<!-- a > b --><!doctype x>1 < 2 #a1b2c3"},
    {TEMPLATE_HTML, "<a href=\"{{#yes}}{{page}}{{/yes}}\">", "<a href=\"https://x/?a=1&amp;b=&#39;2&#39;\">"},
};

START_TEST(a_value_is_written_as_its_place_wants_it)
{
    struct template *template;
    struct buffer faults = {0};
    struct buffer out = {0};
    ck_assert_msg(compile(renderings[_i].text, renderings[_i].kind, &template, &faults) == 0, "%s", faults.data);
    ck_assert_int_eq(template_render(template, values, &out), 0);
    ck_assert_text_eq(buffer_text(&out), renderings[_i].result);
    template_free(template);
    buffer_free(&out);
}
END_TEST

static const struct {
    enum template_kind kind;
    const char *text;
    const char *fault; /* begins with the line's number */
} faults[] = {
    {TEMPLATE_PLAIN, "a\n\n{{nam}}", "3: there is no variable 'nam'; there are name page color yes other"},
    {TEMPLATE_PLAIN, "{{}}", "1: between {{ and }} is no variable's name; there are name"},
    {TEMPLATE_PLAIN, "a\n{{name", "2: this {{ is never closed"},
    {TEMPLATE_PLAIN, "\n{{#yes}\n{{/yes}}", "2: between {{ and }} is no variable's name"},
    {TEMPLATE_PLAIN, "{{{name}}}", "1: {{{ is not known"},
    {TEMPLATE_PLAIN, "{{>name}}", "1: between {{ and }} is no variable's name"},
    {TEMPLATE_PLAIN, "{{yes}}", "1: 'yes' is a yes or no"},
    {TEMPLATE_PLAIN, "\n{{#yes}}\n\n", "2: this section is never closed with {{/yes}}"},
    {TEMPLATE_PLAIN, "{{#yes}}\n{{#name}}\n{{/yes}}{{/name}}", "3: {{/yes}} comes before {{/name}}"},
    {TEMPLATE_PLAIN, "{{/yes}}", "1: {{/yes}} closes nothing"},
    {TEMPLATE_PLAIN, "{{#yes}}{{#yes}}{{#yes}}{{#yes}}{{#yes}}{{#yes}}{{#yes}}{{#yes}}\n{{#yes}}",
     "2: sections are nested more than 8 deep"},
    {TEMPLATE_PLAIN, "a\nb\xff", "2: this line is not in UTF-8"},
    {TEMPLATE_PLAIN, "a\nb\x01", "2: this line has a control character"},
    {TEMPLATE_PLAIN, "a\rb", "1: this line has a control character"},
    {TEMPLATE_HTML, "<a href={{page}}>", "1: {{page}} cannot stand here"},
    {TEMPLATE_HTML, "<a {{name}}>", "1: {{name}} cannot stand here"},
    {TEMPLATE_HTML, "<{{name}}>", "1: {{name}} cannot stand here"},
    {TEMPLATE_HTML, "<a title={{name}}>", "1: {{name}} cannot stand here"},
    {TEMPLATE_HTML, "<!-- {{name}} -->", "1: {{name}} cannot stand here"},
    {TEMPLATE_HTML, "<p onclick=\"{{name}}\">", "1: {{name}} cannot stand here"},
    {TEMPLATE_HTML, "<img srcset=\"{{page}}\">", "1: {{page}} cannot stand here"},
    {TEMPLATE_HTML, "<a href=\"{{name}}\">", "1: {{name}} cannot stand at the start of a URL"},
    {TEMPLATE_HTML, "<a href=\"x{{page}}\">", "1: {{page}} cannot stand inside a URL"},
    {TEMPLATE_HTML, "<a href=\"{{page}}{{page}}\">", "1: {{page}} cannot stand inside a URL"},
    {TEMPLATE_HTML, "<a href=\"{{#yes}}x{{/yes}}{{name}}\">", "1: {{name}} cannot stand here"},
    {TEMPLATE_HTML, "<p style=\"{{name}}\">", "1: {{name}} cannot stand in CSS"},
    {TEMPLATE_HTML, "<style>\na{{name}}</style>", "2: {{name}} cannot stand in CSS"},
    {TEMPLATE_HTML, "<p>\n<SCRIPT>", "1: the part from here has a script in it"},
    {TEMPLATE_HTML, "<p {{#yes}}>{{/yes}}", "1: the section {{#yes}} ends in another place"},
    {TEMPLATE_HTML, "\n<p {{^other}}title=\"{{/other}}", "2: the section {{^other}} ends in another place"},
    {TEMPLATE_HTML, "<p\n", "2: it ends within a tag"},
    {TEMPLATE_HTML, "<style>", "1: it ends within a tag"},
};

START_TEST(a_fault_is_told_with_file_and_line)
{
    struct template *template;
    struct buffer told = {0};
    struct buffer wanted = {0};
    ck_assert_int_eq(compile(faults[_i].text, faults[_i].kind, &template, &told), TEMPLATE_FAULTY);
    ck_assert_ptr_null(template);
    buffer_append_format(&wanted, "mail.html:%s", faults[_i].fault);
    ck_assert_msg(text_starts_with(buffer_text(&told), buffer_text(&wanted)), "'%s' is not '%s'", told.data,
                  wanted.data);
    ck_assert_ptr_eq(strchr(told.data, '\n'), told.data + told.length - 1);
    buffer_free(&told);
    buffer_free(&wanted);
}
END_TEST

START_TEST(a_template_and_what_it_writes_have_limits)
{
    struct template *template;
    struct buffer told = {0};
    struct buffer text = {0};
    struct buffer out = {0};
    while (text.length < TEMPLATE_SOURCE_MAXIMUM - 8) {
        buffer_append_string(&text, "{{page}}");
    }
    ck_assert_int_eq(compile(text.data, TEMPLATE_PLAIN, &template, &told), 0);
    char *longer[] = {"", calloc(1, 1000), "", "", ""};
    memset(longer[PAGE], 'x', 999);
    ck_assert_int_eq(template_render(template, (const char *const *)longer, &out), TEMPLATE_TOO_LONG);
    ck_assert_uint_lt(out.length, TEMPLATE_OUTPUT_MAXIMUM + 1000);
    free(longer[PAGE]);
    template_free(template);
    buffer_append_string(&text, "         ");
    ck_assert_int_eq(compile(text.data, TEMPLATE_PLAIN, &template, &told), TEMPLATE_FAULTY);
    ck_assert_str_eq(told.data, "mail.html:1: it is longer than 64 KiB\n");
    buffer_free(&told);
    buffer_free(&text);
    buffer_free(&out);
}
END_TEST

START_TEST(a_value_that_is_no_utf8_and_no_colour_does_no_harm)
{
    struct template *template;
    struct buffer told = {0};
    struct buffer out = {0};
    const char *const bad[] = {"\xff"
                               "a\xc3",
                               "", "red;}<", "", ""};
    ck_assert_int_eq(compile("{{name}}<b style=\"{{color}}\">", TEMPLATE_HTML, &template, &told), 0);
    ck_assert_int_eq(template_render(template, bad, &out), 0);
    ck_assert_str_eq(out.data, "\xef\xbf\xbd"
                               "a\xef\xbf\xbd<b style=\"red\">");
    ck_assert(template_uses(template, COLOR));
    ck_assert(!template_uses(template, PAGE));
    template_free(template);
    buffer_free(&told);
    buffer_free(&out);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_loop_test(tests, a_value_is_written_as_its_place_wants_it, 0, (int)ARRAY_LENGTH(renderings));
    tcase_add_loop_test(tests, a_fault_is_told_with_file_and_line, 0, (int)ARRAY_LENGTH(faults));
    tcase_add_test(tests, a_template_and_what_it_writes_have_limits);
    tcase_add_test(tests, a_value_that_is_no_utf8_and_no_colour_does_no_harm);
}

int main(void)
{
    return unit_run("template", fill);
}
