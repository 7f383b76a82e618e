#include "core/mail_reasons.h"

#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "stripe/error_code.h"

#define CODES_MAXIMUM 64
#define LINE_MAXIMUM 1000

struct mail_reasons {
    char *words[CODES_MAXIMUM][REASON_PARTS];
};

const char *reason_part_name(enum reason_part part)
{
    static const char *const names[REASON_PARTS] = {
        [REASON_TITLE] = "title", [REASON_HAPPENED] = "happened", [REASON_ADVICE] = "advice"};
    return names[part];
}

/* Where the words of "code.part" go, or NULL. */
static char **find_place(struct mail_reasons *reasons, struct text name)
{
    struct text part = name;
    struct text code = text_cut(&part, '.');
    for (size_t i = 0; i < error_code_count && i < CODES_MAXIMUM; i++) {
        for (enum reason_part at = 0; at < REASON_PARTS; at++) {
            if (text_equal(code, text_of(error_codes[i].code)) && text_equal(part, text_of(reason_part_name(at)))) {
                return &reasons->words[i][at];
            }
        }
    }
    return NULL;
}

static bool is_clean(struct text text)
{
    for (size_t i = 0; i < text.length;) {
        size_t length = utf8_sequence(text.data + i, text.length - i);
        unsigned char byte = (unsigned char)text.data[i];
        if (length == 0 || byte < ' ' || byte == 0x7f) {
            return false;
        }
        i += length;
    }
    return true;
}

/* NULL, or what is wrong with the line. */
static const char *read_line(struct mail_reasons *reasons, struct text line, int *status)
{
    struct text words = line;
    struct text name = text_trim(text_cut(&words, ':'));
    words = text_trim(words);
    if (line.length > LINE_MAXIMUM) {
        return "this line is longer than 1000 bytes";
    }
    if (!is_clean(words)) {
        return "this line has a control character in it, or is not in UTF-8";
    }
    char **place = find_place(reasons, name);
    if (!place) {
        return "this is not 'CODE.title:', 'CODE.happened:' or 'CODE.advice:' with one of Stripe's codes";
    }
    if (words.length == 0) {
        return "there are no words behind the colon";
    }
    if (*place) {
        return "this one is there twice";
    }
    *place = text_copy(words);
    *status = *place ? *status : -ENOMEM;
    return NULL;
}

int mail_reasons_read(const char *file, struct text content, struct mail_reasons **read, struct buffer *faults)
{
    *read = NULL;
    struct mail_reasons *reasons = calloc(1, sizeof(*reasons));
    int status = reasons ? 0 : -ENOMEM;
    for (size_t number = 1; content.data && content.length > 0 && status >= 0; number++) {
        struct text line = text_trim(text_cut(&content, '\n'));
        line.length -= line.length > 0 && line.data[line.length - 1] == '\r';
        bool is_comment = line.length == 0 || line.data[0] == '#';
        const char *fault = is_comment ? NULL : read_line(reasons, line, &status);
        if (fault) {
            buffer_append_format(faults, "%s:%zu: %s\n", file, number, fault);
            status = MAIL_REASONS_FAULTY;
        }
    }
    if (status != 0) {
        mail_reasons_free(reasons);
        return status;
    }
    *read = reasons;
    return 0;
}

const char *mail_reasons_words(const struct mail_reasons *reasons, size_t code, enum reason_part part)
{
    return reasons && code < CODES_MAXIMUM ? reasons->words[code][part] : NULL;
}

void mail_reasons_free(struct mail_reasons *reasons)
{
    for (size_t i = 0; i < CODES_MAXIMUM && reasons; i++) {
        for (enum reason_part part = 0; part < REASON_PARTS; part++) {
            free(reasons->words[i][part]);
        }
    }
    free(reasons);
}
