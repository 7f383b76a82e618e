#include "core/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "core/html_context.h"

#define NAME_MAXIMUM 40

enum escape { ESCAPE_PLAIN, ESCAPE_HTML, ESCAPE_URL_PART, ESCAPE_COLOR };

enum piece_kind { PIECE_LITERAL, PIECE_VARIABLE, PIECE_SECTION };

struct piece {
    enum piece_kind kind;
    struct text literal;
    size_t variable;
    enum escape escape;
    bool inverted; /* a section for where there is no value */
    size_t end;    /* of a section: the piece behind it */
};

struct template
{
    const struct template_variable *variables;
    char *source; /* literals point into it */
    struct piece *pieces;
    size_t count;
};

/* A section that is open while a template is read. */
struct opened {
    size_t piece;
    size_t offset; /* of its tag */
    struct html_context context;
};

struct compiler {
    const struct template_source *source;
    struct template *template;
    struct text text;
    struct html_context context;
    struct opened opened[TEMPLATE_DEPTH_MAXIMUM];
    size_t depth;
    struct buffer *faults;
};

/* ---- faults */

static int fault_at(const struct compiler *compiler, size_t offset, const char *format, ...) PRINTF_LIKE(3, 4);

static int fault_at(const struct compiler *compiler, size_t offset, const char *format, ...)
{
    size_t line = 1;
    for (size_t i = 0; i < offset; i++) {
        line += compiler->text.data[i] == '\n';
    }
    va_list list;
    va_start(list, format);
    buffer_append_format(compiler->faults, "%s:%zu: ", compiler->source->file, line);
    buffer_append_format_list(compiler->faults, format, list);
    buffer_append_byte(compiler->faults, '\n');
    va_end(list);
    return TEMPLATE_FAULTY;
}

static int check_source(const struct compiler *compiler)
{
    if (compiler->text.length > TEMPLATE_SOURCE_MAXIMUM) {
        return fault_at(compiler, 0, "it is longer than %u KiB", TEMPLATE_SOURCE_MAXIMUM >> 10);
    }
    for (size_t i = 0; i < compiler->text.length;) {
        size_t length = utf8_sequence(compiler->text.data + i, compiler->text.length - i);
        unsigned char byte = (unsigned char)compiler->text.data[i];
        if (length == 0) {
            return fault_at(compiler, i, "this line is not in UTF-8");
        }
        if ((byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7f) {
            return fault_at(compiler, i, "this line has a control character in it");
        }
        i += length;
    }
    return 0;
}

/* ---- tags */

struct tag {
    size_t start; /* of what it takes out of the text: the tag, or its whole line */
    size_t end;
    size_t offset;    /* of the tag itself */
    char sign;        /* '#', '^', '/', '!', or '\0' for a variable */
    struct text name; /* trimmed; a comment's words */
};

static struct text slice(const struct compiler *compiler, size_t start, size_t end)
{
    return (struct text){.data = compiler->text.data + start, .length = end - start};
}

/* The offset of `mark` at or after `from`, or the text's length. */
static size_t find_mark(struct text text, size_t from, const char mark[2])
{
    for (size_t i = from; i + 1 < text.length; i++) {
        if (text.data[i] == mark[0] && text.data[i + 1] == mark[1]) {
            return i;
        }
    }
    return text.length;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* A line with nothing else on it goes with its tag. */
static void take_line(const struct compiler *compiler, struct tag *tag)
{
    size_t start = tag->start;
    size_t end = tag->end;
    while (start > 0 && is_blank(compiler->text.data[start - 1])) {
        start--;
    }
    while (end < compiler->text.length && is_blank(compiler->text.data[end])) {
        end++;
    }
    bool first = start == 0 || compiler->text.data[start - 1] == '\n';
    bool last = end == compiler->text.length || compiler->text.data[end] == '\n';
    if (first && last) {
        tag->start = start;
        tag->end = end < compiler->text.length ? end + 1 : end;
    }
}

static struct text trim(struct text text)
{
    while (text.length > 0 && (is_blank(text.data[0]) || text.data[0] == '\n')) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && (is_blank(text.data[text.length - 1]) || text.data[text.length - 1] == '\n')) {
        text.length--;
    }
    return text;
}

/* Reads the tag whose "{{" is at `offset`. */
static int read_tag(const struct compiler *compiler, size_t offset, struct tag *tag)
{
    size_t close = find_mark(compiler->text, offset + 2, "}}");
    if (close == compiler->text.length) {
        return fault_at(compiler, offset, "this {{ is never closed with }}");
    }
    struct text inside = slice(compiler, offset + 2, close);
    *tag = (struct tag){.start = offset, .end = close + 2, .offset = offset};
    if (inside.length > 0 && inside.data[0] == '{') {
        return fault_at(compiler, offset, "{{{ is not known: there is no way to write a value unescaped");
    }
    if (inside.length > 0 && strchr("#^/!", inside.data[0])) {
        tag->sign = inside.data[0];
        inside.data++;
        inside.length--;
        take_line(compiler, tag);
    }
    tag->name = trim(inside);
    return 0;
}

static void list_variables(const struct compiler *compiler)
{
    compiler->faults->length--; /* the line's end */
    buffer_append_string(compiler->faults, "; there are");
    for (const struct template_variable *variable = compiler->template->variables; variable->name; variable++) {
        buffer_append_format(compiler->faults, " %s", variable->name);
    }
    buffer_append_byte(compiler->faults, '\n');
}

/* Whether it could be the name of a variable: nothing else is repeated in a fault, which is to be one line. */
static bool is_name(struct text text)
{
    bool fine = text.length > 0 && text.length <= NAME_MAXIMUM;
    for (size_t i = 0; i < text.length && fine; i++) {
        char byte = text.data[i];
        fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
               byte == '.' || byte == '_' || byte == '-';
    }
    return fine;
}

static int find_variable(const struct compiler *compiler, const struct tag *tag, size_t *index)
{
    const struct template_variable *variables = compiler->template->variables;
    for (*index = 0; variables[*index].name; (*index)++) {
        if (text_equal(tag->name, text_of(variables[*index].name))) {
            return 0;
        }
    }
    int status = is_name(tag->name)
                     ? fault_at(compiler, tag->offset, "there is no variable '%.*s'", TEXT_ARGUMENTS(tag->name))
                     : fault_at(compiler, tag->offset, "between {{ and }} is no variable's name");
    list_variables(compiler);
    return status;
}

static struct piece *add_piece(struct compiler *compiler, enum piece_kind kind)
{
    struct piece *piece = &compiler->template->pieces[compiler->template->count++];
    piece->kind = kind;
    return piece;
}

static int open_section(struct compiler *compiler, const struct tag *tag, size_t variable)
{
    if (compiler->depth == TEMPLATE_DEPTH_MAXIMUM) {
        return fault_at(compiler, tag->offset, "sections are nested more than %d deep", TEMPLATE_DEPTH_MAXIMUM);
    }
    compiler->opened[compiler->depth++] =
        (struct opened){.piece = compiler->template->count, .offset = tag->offset, .context = compiler->context};
    struct piece *piece = add_piece(compiler, PIECE_SECTION);
    piece->variable = variable;
    piece->inverted = tag->sign == '^';
    return 0;
}

static int close_section(struct compiler *compiler, const struct tag *tag, size_t variable)
{
    struct template *template = compiler->template;
    if (compiler->depth == 0) {
        return fault_at(compiler, tag->offset, "{{/%.*s}} closes nothing", TEXT_ARGUMENTS(tag->name));
    }
    const struct opened *opened = &compiler->opened[--compiler->depth];
    struct piece *section = &template->pieces[opened->piece];
    if (section->variable != variable) {
        return fault_at(compiler, tag->offset, "{{/%.*s}} comes before {{/%s}}", TEXT_ARGUMENTS(tag->name),
                        template->variables[section->variable].name);
    }
    if (!html_context_join(&compiler->context, &opened->context)) {
        return fault_at(compiler, opened->offset,
                        "the section {{%c%.*s}} ends in another place of the HTML than it starts in",
                        section->inverted ? '^' : '#', TEXT_ARGUMENTS(tag->name));
    }
    section->end = template->count;
    return 0;
}

/* ---- variables: how each type is written in each place */

static int place_fault(const struct compiler *compiler, const struct tag *tag, const char *where)
{
    return fault_at(compiler, tag->offset, "{{%.*s}} cannot stand %s", TEXT_ARGUMENTS(tag->name), where);
}

static int choose_escape(const struct compiler *compiler, const struct tag *tag, enum template_type type,
                         enum escape *escape)
{
    *escape = ESCAPE_HTML;
    switch (html_context_place(&compiler->context)) {
    case HTML_PLACE_TEXT:
    case HTML_PLACE_ATTRIBUTE:
        return 0;
    case HTML_PLACE_URL_START:
        return type == TEMPLATE_URL
                   ? 0
                   : place_fault(compiler, tag, "at the start of a URL: only a variable that is a URL can");
    case HTML_PLACE_URL_REST:
        *escape = ESCAPE_URL_PART;
        return type == TEMPLATE_URL ? place_fault(compiler, tag, "inside a URL: it is one itself") : 0;
    case HTML_PLACE_STYLE:
        *escape = ESCAPE_COLOR;
        return type == TEMPLATE_COLOR ? 0 : place_fault(compiler, tag, "in CSS: only a colour can");
    case HTML_PLACE_NONE:
    default:
        return place_fault(compiler, tag, "here: put it into the text, or into a quoted attribute");
    }
}

static int add_variable(struct compiler *compiler, const struct tag *tag, size_t variable)
{
    enum template_type type = compiler->template->variables[variable].type;
    if (type == TEMPLATE_FLAG) {
        return fault_at(compiler, tag->offset, "'%.*s' is a yes or no: use it as {{#%.*s}} … {{/%.*s}}",
                        TEXT_ARGUMENTS(tag->name), TEXT_ARGUMENTS(tag->name), TEXT_ARGUMENTS(tag->name));
    }
    enum escape escape = ESCAPE_PLAIN;
    if (compiler->source->kind != TEMPLATE_PLAIN) {
        int status = choose_escape(compiler, tag, type, &escape);
        if (status != 0) {
            return status;
        }
        html_context_fill(&compiler->context);
    }
    struct piece *piece = add_piece(compiler, PIECE_VARIABLE);
    piece->variable = variable;
    piece->escape = escape;
    return 0;
}

/* ---- reading */

static int add_literal(struct compiler *compiler, size_t start, size_t end)
{
    if (start >= end) {
        return 0;
    }
    struct text literal = slice(compiler, start, end);
    add_piece(compiler, PIECE_LITERAL)->literal = literal;
    const char *fault =
        compiler->source->kind != TEMPLATE_PLAIN ? html_context_follow(&compiler->context, literal) : NULL;
    return fault ? fault_at(compiler, start, "the part from here %s", fault) : 0;
}

static int add_tag(struct compiler *compiler, const struct tag *tag)
{
    size_t variable;
    if (tag->sign == '!') {
        return 0;
    }
    int status = find_variable(compiler, tag, &variable);
    if (status != 0) {
        return status;
    }
    switch (tag->sign) {
    case '#':
    case '^':
        return open_section(compiler, tag, variable);
    case '/':
        return close_section(compiler, tag, variable);
    default:
        return add_variable(compiler, tag, variable);
    }
}

static int compile(struct compiler *compiler)
{
    int status = check_source(compiler);
    size_t at = 0;
    while (status == 0 && at < compiler->text.length) {
        struct tag tag = {.start = find_mark(compiler->text, at, "{{")};
        bool more = tag.start < compiler->text.length;
        status = more ? read_tag(compiler, tag.start, &tag) : 0;
        status = status == 0 ? add_literal(compiler, at, tag.start) : status;
        status = status == 0 && more ? add_tag(compiler, &tag) : status;
        at = more ? tag.end : compiler->text.length;
    }
    if (status == 0 && compiler->depth > 0) {
        const struct opened *opened = &compiler->opened[compiler->depth - 1];
        size_t variable = compiler->template->pieces[opened->piece].variable;
        status = fault_at(compiler, opened->offset, "this section is never closed with {{/%s}}",
                          compiler->template->variables[variable].name);
    }
    if (status == 0 && compiler->source->kind != TEMPLATE_PLAIN && compiler->context.state != HTML_IN_TEXT) {
        status = fault_at(compiler, compiler->text.length, "it ends within a tag, a comment or a style");
    }
    return status;
}

/* A literal and a tag for each "{{", and a literal behind the last. */
static size_t count_pieces(struct text text)
{
    size_t count = 1;
    for (size_t at = 0; (at = find_mark(text, at, "{{")) < text.length; at += 2) {
        count += 2;
    }
    return count;
}

/* Lines of the copy end with \n alone. */
static struct text copy_source(struct template *template, struct text source)
{
    struct text copy = {0};
    template->source = malloc(source.length + 1);
    for (size_t i = 0; i < source.length && template->source; i++) {
        bool line_end = source.data[i] == '\r' && i + 1 < source.length && source.data[i + 1] == '\n';
        if (!line_end) {
            template->source[copy.length++] = source.data[i];
        }
    }
    copy.data = template->source;
    return copy;
}

int template_compile(const struct template_source *source, const struct template_variable *variables,
                     struct template **compiled, struct buffer *faults)
{
    *compiled = NULL;
    struct template *template = calloc(1, sizeof(*template));
    if (!template) {
        return -ENOMEM;
    }
    template->variables = variables;
    struct compiler compiler = {.source = source, .template = template, .faults = faults};
    compiler.context.takes_scripts = source->kind == TEMPLATE_PAGE;
    compiler.text = copy_source(template, source->text);
    template->pieces = calloc(count_pieces(compiler.text), sizeof(*template->pieces));
    int status = template->source && template->pieces ? compile(&compiler) : -ENOMEM;
    if (status != 0) {
        template_free(template);
        return buffer_status(faults) < 0 ? -ENOMEM : status;
    }
    *compiled = template;
    return 0;
}

bool template_uses(const struct template *template, size_t variable)
{
    for (size_t i = 0; i < template->count; i++) {
        if (template->pieces[i].kind != PIECE_LITERAL && template->pieces[i].variable == variable) {
            return true;
        }
    }
    return false;
}

void template_free(struct template *template)
{
    if (template) {
        free(template->pieces);
        free(template->source);
        free(template);
    }
}

/* ---- rendering */

static bool is_plain_in_url(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("-._~@", byte));
}

static void append_url_part(struct buffer *out, struct text character)
{
    if (is_plain_in_url(character.data[0])) {
        buffer_append(out, character);
        return;
    }
    for (size_t i = 0; i < character.length; i++) {
        buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)character.data[i]);
    }
}

static void append_color(struct buffer *out, struct text character)
{
    if (character.data[0] == '#' || (is_plain_in_url(character.data[0]) && !strchr("-._~@", character.data[0]))) {
        buffer_append(out, character);
    }
}

static void append_plain(struct buffer *out, struct text character)
{
    buffer_append(out, character);
}

static void append_value(struct buffer *out, const char *value, enum escape escape)
{
    static void (*const appends[])(struct buffer *, struct text) = {
        [ESCAPE_PLAIN] = append_plain,
        [ESCAPE_HTML] = buffer_append_html,
        [ESCAPE_URL_PART] = append_url_part,
        [ESCAPE_COLOR] = append_color,
    };
    struct text rest = text_of(value);
    while (rest.length > 0) {
        size_t length = utf8_sequence(rest.data, rest.length);
        unsigned char byte = (unsigned char)rest.data[0];
        struct text character = {.data = rest.data, .length = length};
        if (length == 0) {
            character = TEXT("\xef\xbf\xbd"); /* U+FFFD */
        } else if (byte < ' ' || byte == 0x7f) {
            character = TEXT(" ");
        }
        appends[escape](out, character);
        rest.data += length ? length : 1;
        rest.length -= length ? length : 1;
    }
}

static size_t render_piece(const struct template *template, size_t at, const char *const *values, struct buffer *out)
{
    const struct piece *piece = &template->pieces[at];
    if (piece->kind == PIECE_LITERAL) {
        buffer_append(out, piece->literal);
        return at + 1;
    }
    const char *value = values[piece->variable];
    bool there = value && value[0] != '\0';
    if (piece->kind == PIECE_SECTION) {
        return there != piece->inverted ? at + 1 : piece->end;
    }
    if (there) {
        append_value(out, value, piece->escape);
    }
    return at + 1;
}

int template_render(const struct template *template, const char *const *values, struct buffer *out)
{
    size_t before = out->length;
    for (size_t at = 0; at < template->count;) {
        at = render_piece(template, at, values, out);
        if (out->length - before > TEMPLATE_OUTPUT_MAXIMUM) {
            return TEMPLATE_TOO_LONG;
        }
    }
    return buffer_status(out);
}
