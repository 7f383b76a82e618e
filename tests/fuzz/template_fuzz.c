/*
 * Any template, with values that would do harm: what they write must have the same structure as with harmless values.
 * The first byte says whether it is HTML.
 */
#include <stdlib.h>
#include <string.h>

#include "core/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 4 };

static const struct template_variable variables[] = {
    {"a", TEMPLATE_TEXT}, {"u", TEMPLATE_URL}, {"c", TEMPLATE_COLOR}, {"f", TEMPLATE_FLAG}, {NULL, TEMPLATE_TEXT}};

static const char *const harmless[KINDS] = {"x", "https://x.example/", "#000000", "yes"};

static const char *const harmful[KINDS] = {"\"'><script>alert(1)</script>\r\nBcc: x\n\xff\x01&lt;{{a}}",
                                           "https://x/\"'><b>", "red;}</style><script>\"'", "no"};

static size_t count(struct text text, char byte)
{
    size_t found = 0;
    for (size_t i = 0; i < text.length; i++) {
        found += text.data[i] == byte;
    }
    return found;
}

static void compare(const struct template *template, const char *marks)
{
    struct buffer plain = {0};
    struct buffer other = {0};
    int status = template_render(template, harmless, &plain);
    int second = template_render(template, harmful, &other);
    for (const char *mark = marks; *mark && status == 0 && second == 0; mark++) {
        if (count(buffer_text(&plain), *mark) != count(buffer_text(&other), *mark)) {
            abort();
        }
    }
    buffer_free(&plain);
    buffer_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *exact = malloc(size);
    memcpy(exact, data + 1, size - 1);
    struct template *template;
    struct buffer faults = {0};
    struct template_source source = {
        .file = "t", .text = {.data = exact, .length = size - 1}, .kind = data[0] & 1 ? TEMPLATE_HTML : TEMPLATE_PLAIN};
    int status = template_compile(&source, variables, &template, &faults);
    free(exact);
    if (status == 0) {
        compare(template, source.kind == TEMPLATE_HTML ? "<>\"'\n\r" : "\n\r");
    } else if (faults.length == 0 || count(buffer_text(&faults), '\n') != 1) {
        abort(); /* a fault is one line */
    }
    template_free(template);
    buffer_free(&faults);
    return 0;
}
