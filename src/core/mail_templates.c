#include "core/mail_templates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/color.h"
#include "core/mail_reasons.h"
#include "core/template.h"
#include "templates.h" /* embedded_files */

#define LOCALE_SIZE 36 /* RFC 5646 section 4.4.1 */

const char *const mail_kind_names[MAIL_KINDS] = {
    [MAIL_VERIFIED] = "verified", [MAIL_REQUIRES_INPUT] = "requires_input"};

enum part { PART_SUBJECT, PART_PLAIN, PART_HTML, PARTS };

static const char *const part_names[PARTS] = {[PART_SUBJECT] = "subject", [PART_PLAIN] = "txt", [PART_HTML] = "html"};

/* The files of one folder. */
struct folder {
    char locale[LOCALE_SIZE]; /* as the folder is named; "" for the one of no language */
    struct template *parts[MAIL_KINDS][PARTS];
    struct mail_reasons *reasons;
};

struct mail_templates {
    struct folder built_in;
    struct folder *folders;
    size_t count;
};

/* ---- variables */

enum variable {
    BRAND_NAME,
    BRAND_COLOR,
    BRAND_UPON_COLOR,
    BRAND_LOGO,
    SUPPORT_ADDRESS,
    RETRY_PAGE,
    ALTERNATIVE_PAGE,
    REASON_CODE_WORD,
    REASON_TITLE_WORDS,
    REASON_HAPPENED_WORDS,
    REASON_ADVICE_WORDS,
    LOCALE_NAME,
    IS_RETRYABLE,
    HAS_ALTERNATIVE,
    IS_TEST,
    VARIABLES
};

static const struct template_variable variables[VARIABLES + 1] = {
    [BRAND_NAME] = {"brand.name", TEMPLATE_TEXT},
    [BRAND_COLOR] = {"brand.color", TEMPLATE_COLOR},
    [BRAND_UPON_COLOR] = {"brand.upon_color", TEMPLATE_COLOR},
    [BRAND_LOGO] = {"brand.logo", TEMPLATE_URL},
    [SUPPORT_ADDRESS] = {"support.address", TEMPLATE_TEXT},
    [RETRY_PAGE] = {"retry.page", TEMPLATE_URL},
    [ALTERNATIVE_PAGE] = {"alternative.page", TEMPLATE_URL},
    [REASON_CODE_WORD] = {"reason.code", TEMPLATE_TEXT},
    [REASON_TITLE_WORDS] = {"reason.title", TEMPLATE_TEXT},
    [REASON_HAPPENED_WORDS] = {"reason.happened", TEMPLATE_TEXT},
    [REASON_ADVICE_WORDS] = {"reason.advice", TEMPLATE_TEXT},
    [LOCALE_NAME] = {"locale", TEMPLATE_TEXT},
    [IS_RETRYABLE] = {"retryable", TEMPLATE_FLAG},
    [HAS_ALTERNATIVE] = {"alternative", TEMPLATE_FLAG},
    [IS_TEST] = {"testmode", TEMPLATE_FLAG},
    [VARIABLES] = {NULL, TEMPLATE_TEXT},
};

static const enum variable reason_variables[REASON_PARTS] = {
    [REASON_TITLE] = REASON_TITLE_WORDS,
    [REASON_HAPPENED] = REASON_HAPPENED_WORDS,
    [REASON_ADVICE] = REASON_ADVICE_WORDS,
};

/* ---- locales: "pt_br" and "pt-BR" are the same */

bool mail_locale_is_one(struct text text)
{
    size_t run = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        bool joins = byte == '-' || byte == '_';
        bool fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if ((joins && run == 0) || (!joins && !fine)) {
            return false;
        }
        run = joins ? 0 : run + 1;
    }
    return run > 0 && text.length >= 2 && text.length < LOCALE_SIZE;
}

static char locale_byte(char byte)
{
    if (byte == '_') {
        return '-';
    }
    if (byte >= 'A' && byte <= 'Z') {
        return (char)(byte - 'A' + 'a');
    }
    return byte;
}

static bool is_same_locale(struct text a, struct text b)
{
    bool same = a.length == b.length;
    for (size_t i = 0; i < a.length && same; i++) {
        same = locale_byte(a.data[i]) == locale_byte(b.data[i]);
    }
    return same;
}

/* "pt" of "pt-BR"; nothing of "pt". */
static struct text parent_locale(struct text locale)
{
    do {
        locale.length--;
    } while (locale.length > 0 && locale_byte(locale.data[locale.length]) != '-');
    return locale;
}

static const struct folder *find_folder(const struct mail_templates *templates, struct text locale)
{
    for (size_t i = 0; i < templates->count; i++) {
        if (is_same_locale(text_of(templates->folders[i].locale), locale)) {
            return &templates->folders[i];
        }
    }
    return NULL;
}

/* ---- looking up: along a language's folders, or along the two of none */

static const struct template *find_in_language(const struct mail_templates *templates, struct text locale,
                                               enum mail_kind kind, enum part part)
{
    for (; locale.length > 0; locale = parent_locale(locale)) {
        const struct folder *folder = find_folder(templates, locale);
        if (folder && folder->parts[kind][part]) {
            return folder->parts[kind][part];
        }
    }
    return NULL;
}

static const char *find_words_in_language(const struct mail_templates *templates, struct text locale, size_t code,
                                          enum reason_part part)
{
    const char *words = NULL;
    for (; locale.length > 0 && !words; locale = parent_locale(locale)) {
        const struct folder *folder = find_folder(templates, locale);
        words = folder ? mail_reasons_words(folder->reasons, code, part) : NULL;
    }
    return words;
}

static const struct template *find_template(const struct mail_templates *templates, struct text locale,
                                            enum mail_kind kind, enum part part)
{
    if (locale.length > 0) {
        return find_in_language(templates, locale, kind, part);
    }
    const struct folder *folder = find_folder(templates, locale);
    return folder && folder->parts[kind][part] ? folder->parts[kind][part] : templates->built_in.parts[kind][part];
}

static const char *find_words(const struct mail_templates *templates, struct text locale, size_t code,
                              enum reason_part part)
{
    const char *const built_in[REASON_PARTS] = {
        [REASON_TITLE] = error_codes[code].title,
        [REASON_HAPPENED] = error_codes[code].happened,
        [REASON_ADVICE] = error_codes[code].advice,
    };
    if (locale.length > 0) {
        return find_words_in_language(templates, locale, code, part);
    }
    const struct folder *folder = find_folder(templates, locale);
    const char *words = folder ? mail_reasons_words(folder->reasons, code, part) : NULL;
    return words ? words : built_in[part];
}

/* The wanted locale as it is named here, or the nearest above it, that has this mail; empty for those of no language.
 */
static struct text choose_locale(const struct mail_templates *templates, const char *wanted, enum mail_kind kind)
{
    struct text locale = text_of(wanted);
    if (!mail_locale_is_one(locale)) {
        return (struct text){0};
    }
    for (; locale.length > 0; locale = parent_locale(locale)) {
        const struct folder *folder = find_folder(templates, locale);
        if (folder && find_in_language(templates, locale, kind, PART_PLAIN)) {
            return text_of(folder->locale);
        }
    }
    return locale;
}

/* ---- reading */

static int fault_in(struct buffer *faults, const char *path, const char *fault)
{
    buffer_append_format(faults, "%s: %s\n", path, fault);
    return MAIL_TEMPLATES_FAULTY;
}

/* Finds which part of which mail "verified.txt" is. */
static bool find_part(const char *name, enum mail_kind *kind, enum part *part)
{
    struct text ending = text_of(name);
    struct text stem = text_cut(&ending, '.');
    for (*kind = 0; *kind < MAIL_KINDS; (*kind)++) {
        for (*part = 0; *part < PARTS; (*part)++) {
            if (text_equal(stem, text_of(mail_kind_names[*kind])) && text_equal(ending, text_of(part_names[*part]))) {
                return true;
            }
        }
    }
    return false;
}

static int read_file(struct folder *folder, const struct mail_template_file *file, struct buffer *faults)
{
    enum mail_kind kind;
    enum part part;
    if (strcmp(file->name, "reasons.txt") == 0) {
        return mail_reasons_read(file->path, file->content, &folder->reasons, faults);
    }
    if (!find_part(file->name, &kind, &part)) {
        return fault_in(faults, file->path,
                        "is no file of a mail: those are verified and requires_input with .subject, .txt and .html, "
                        "and reasons.txt");
    }
    struct template_source source = {
        .file = file->path, .text = file->content, .kind = part == PART_HTML ? TEMPLATE_HTML : TEMPLATE_PLAIN};
    return template_compile(&source, variables, &folder->parts[kind][part], faults);
}

/* The folder of that locale, made if there is none yet. NULL: its name is none, or another's in another spelling. */
static struct folder *folder_of(struct mail_templates *templates, const char *locale)
{
    struct text name = text_of(locale);
    for (size_t i = 0; i < templates->count; i++) {
        if (is_same_locale(text_of(templates->folders[i].locale), name)) {
            return text_equal(text_of(templates->folders[i].locale), name) ? &templates->folders[i] : NULL;
        }
    }
    if (name.length > 0 && !mail_locale_is_one(name)) {
        return NULL;
    }
    struct folder *folder = &templates->folders[templates->count++];
    (void)snprintf(folder->locale, sizeof(folder->locale), "%.*s", TEXT_ARGUMENTS(name));
    return folder;
}

/* Goes on behind a faulty file, so that all faults are told at once. */
static int read_files(struct mail_templates *templates, const struct mail_template_file *files, size_t count,
                      struct buffer *faults)
{
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct folder *folder = folder_of(templates, files[i].locale);
        int status = folder ? read_file(folder, &files[i], faults)
                            : fault_in(faults, files[i].path,
                                       "its folder is not named like a language (de, pt-BR), or like another one in "
                                       "another spelling");
        if (status < 0) {
            return status;
        }
        result = status > 0 ? MAIL_TEMPLATES_FAULTY : result;
    }
    return result;
}

static int read_built_in(struct mail_templates *templates, struct buffer *faults)
{
    int status = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(embedded_files) && status == 0; i++) {
        struct mail_template_file file = {
            .path = embedded_files[i].name,
            .name = embedded_files[i].name,
            .content = {.data = (const char *)embedded_files[i].bytes, .length = embedded_files[i].length},
        };
        status = read_file(&templates->built_in, &file, faults);
    }
    return status;
}

/* ---- checking that a language is whole */

static bool has_any(const struct mail_templates *templates, struct text locale, enum mail_kind kind)
{
    bool any = false;
    for (enum part part = 0; part < PARTS; part++) {
        any = any || find_in_language(templates, locale, kind, part);
    }
    return any;
}

static int check_parts(const struct mail_templates *templates, const struct folder *folder, enum mail_kind kind,
                       struct buffer *faults)
{
    struct text locale = text_of(folder->locale);
    int status = 0;
    for (enum part part = 0; part < PARTS && has_any(templates, locale, kind); part++) {
        if (!find_in_language(templates, locale, kind, part)) {
            buffer_append_format(faults, "%s/%s.%s: is missing, and the mail would be half in another language\n",
                                 folder->locale, mail_kind_names[kind], part_names[part]);
            status = MAIL_TEMPLATES_FAULTY;
        }
    }
    return status;
}

static bool names_reason(const struct mail_templates *templates, struct text locale, enum reason_part reason)
{
    bool names = false;
    for (enum part part = 0; part < PARTS; part++) {
        const struct template *template = find_in_language(templates, locale, MAIL_REQUIRES_INPUT, part);
        names = names || (template && template_uses(template, reason_variables[reason]));
    }
    return names;
}

static int check_reasons(const struct mail_templates *templates, const struct folder *folder, struct buffer *faults)
{
    struct text locale = text_of(folder->locale);
    int status = 0;
    if (folder->reasons && !has_any(templates, locale, MAIL_REQUIRES_INPUT)) {
        buffer_append_format(faults, "%s/reasons.txt: there is no requires_input.txt in this language to name them\n",
                             folder->locale);
        status = MAIL_TEMPLATES_FAULTY;
    }
    for (enum reason_part part = 0; part < REASON_PARTS; part++) {
        for (size_t code = 0; code < error_code_count && names_reason(templates, locale, part); code++) {
            if (!find_words_in_language(templates, locale, code, part)) {
                buffer_append_format(faults, "%s/reasons.txt: '%s.%s' is missing, which requires_input names\n",
                                     folder->locale, error_codes[code].code, reason_part_name(part));
                status = MAIL_TEMPLATES_FAULTY;
            }
        }
    }
    return status;
}

static int check_languages(const struct mail_templates *templates, struct buffer *faults)
{
    int result = 0;
    for (size_t i = 0; i < templates->count; i++) {
        const struct folder *folder = &templates->folders[i];
        if (folder->locale[0] == '\0') {
            continue;
        }
        for (enum mail_kind kind = 0; kind < MAIL_KINDS; kind++) {
            result = check_parts(templates, folder, kind, faults) ? MAIL_TEMPLATES_FAULTY : result;
        }
        result = check_reasons(templates, folder, faults) ? MAIL_TEMPLATES_FAULTY : result;
    }
    return result;
}

/* ---- the whole set */

int mail_templates_create(const struct mail_template_file *files, size_t count, struct mail_templates **created,
                          struct buffer *faults)
{
    *created = NULL;
    struct mail_templates *templates = calloc(1, sizeof(*templates));
    if (!templates) {
        return -ENOMEM;
    }
    templates->folders = calloc(count + 1, sizeof(*templates->folders)); /* no more than there are files */
    int status = templates->folders ? read_built_in(templates, faults) : -ENOMEM;
    status = status == 0 ? read_files(templates, files, count, faults) : status;
    status = status == 0 ? check_languages(templates, faults) : status;
    status = status >= 0 && buffer_status(faults) < 0 ? -ENOMEM : status;
    if (status != 0) {
        mail_templates_free(templates);
        return status;
    }
    *created = templates;
    return 0;
}

static void empty_folder(struct folder *folder)
{
    for (enum mail_kind kind = 0; kind < MAIL_KINDS; kind++) {
        for (enum part part = 0; part < PARTS; part++) {
            template_free(folder->parts[kind][part]);
        }
    }
    mail_reasons_free(folder->reasons);
}

void mail_templates_free(struct mail_templates *templates)
{
    if (!templates) {
        return;
    }
    empty_folder(&templates->built_in);
    for (size_t i = 0; i < templates->count; i++) {
        empty_folder(&templates->folders[i]);
    }
    free(templates->folders);
    free(templates);
}

/* ---- writing */

static void set_reason(const struct mail_templates *templates, const struct error_code *code, struct text locale,
                       const char *values[VARIABLES])
{
    size_t index = (size_t)(code - error_codes);
    values[REASON_CODE_WORD] = code->code;
    values[IS_RETRYABLE] = code->retryable ? "yes" : NULL;
    values[HAS_ALTERNATIVE] = code->alternative ? "yes" : NULL;
    for (enum reason_part part = 0; part < REASON_PARTS; part++) {
        values[reason_variables[part]] = find_words(templates, locale, index, part);
    }
}

static void set_values(const struct mail_templates *templates, const struct mail_facts *facts, struct text locale,
                       const char *values[VARIABLES])
{
    const struct settings *settings = facts->settings;
    values[BRAND_NAME] = settings->brand_name;
    values[BRAND_COLOR] = settings->brand_color;
    values[BRAND_UPON_COLOR] = settings->brand_color ? color_upon(settings->brand_color) : NULL;
    values[BRAND_LOGO] = settings->brand_logo_url;
    values[SUPPORT_ADDRESS] = settings->support_address;
    values[LOCALE_NAME] = locale.length > 0 ? locale.data : "en";
    values[IS_TEST] = facts->livemode ? NULL : "yes";
    if (facts->kind == MAIL_REQUIRES_INPUT) {
        set_reason(templates, facts->code, locale, values);
        values[RETRY_PAGE] = facts->code->retryable ? settings->retry_page : NULL;
        values[ALTERNATIVE_PAGE] = facts->code->alternative ? settings->alternative_page : NULL;
    }
}

/* A subject is one line, whatever its file has at its end. */
static void make_one_line(struct buffer *subject)
{
    size_t length = 0;
    for (size_t i = 0; i < subject->length; i++) {
        bool blank = subject->data[i] == '\n' || subject->data[i] == '\t' || subject->data[i] == ' ';
        if (!blank) {
            subject->data[length++] = subject->data[i];
        } else if (length > 0 && subject->data[length - 1] != ' ') {
            subject->data[length++] = ' ';
        }
    }
    length -= length > 0 && subject->data[length - 1] == ' ';
    if (subject->data) {
        subject->data[length] = '\0';
        subject->length = length;
    }
}

int mail_templates_write(const struct mail_templates *templates, const struct mail_facts *facts, struct mail_text *text)
{
    const char *values[VARIABLES] = {0};
    struct text locale = choose_locale(templates, facts->locale, facts->kind);
    struct buffer *outputs[PARTS] = {
        [PART_SUBJECT] = &text->subject, [PART_PLAIN] = &text->plain, [PART_HTML] = &text->html};
    *text = (struct mail_text){0};
    set_values(templates, facts, locale, values);
    int status = 0;
    for (enum part part = 0; part < PARTS && status == 0; part++) {
        status = template_render(find_template(templates, locale, facts->kind, part), values, outputs[part]);
    }
    make_one_line(&text->subject);
    return status == TEMPLATE_TOO_LONG ? -EMSGSIZE : status;
}

void mail_text_free(struct mail_text *text)
{
    buffer_free(&text->subject);
    buffer_free(&text->plain);
    buffer_free(&text->html);
}
