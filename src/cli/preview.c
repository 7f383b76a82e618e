#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/mail_writer.h"
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"

static const char language_help[] =
    "templates, in the folder IDENTIHOOK_MAIL_TEMPLATES; what is not there is built in:\n"
    "  verified.subject, verified.txt, verified.html              a session was verified\n"
    "  requires_input.subject, requires_input.txt, requires_input.html   its checks failed\n"
    "  reasons.txt    what each code means: lines 'CODE.title: …', 'CODE.happened: …', 'CODE.advice: …'\n"
    "  de/…, pt-BR/…  the same files for those whose session's metadata name that language under\n"
    "                 IDENTIHOOK_MAIL_LOCALE_KEY; pt-BR falls back to pt, and then to the files above. A language has\n"
    "                 all three files of a mail or none, and the reasons for every code when its templates name them\n"
    "\n"
    "language:\n"
    "  {{name}}                the variable's value, escaped for where it stands\n"
    "  {{#name}} … {{/name}}   only where it has one\n"
    "  {{^name}} … {{/name}}   only where it has none\n"
    "  {{! any words }}        a comment\n"
    "  In HTML a variable may stand in text and in quoted attributes. A URL begins with a variable that is one, or "
    "with\n"
    "  the template's own text; CSS takes colours alone. Nothing can be written unescaped.\n"
    "\n"
    "variables:\n"
    "  brand.name  brand.color  brand.upon_color  brand.logo (URL)  support.address\n"
    "  retry.page (URL)         where trying again is offered, IDENTIHOOK_RETRY_PAGE\n"
    "  alternative.page (URL)   for a code that has an alternative, IDENTIHOOK_ALTERNATIVE_PAGE\n"
    "  reason.title  reason.happened  reason.advice  reason.code\n"
    "  locale                   of the templates; en for those of no language\n"
    "  retryable  alternative  testmode    for sections: yes or no\n";

static int find_kind(const struct arguments *arguments, enum mail_kind *kind)
{
    const char *name = arguments->positional_count > 0 ? arguments->positional[0] : NULL;
    for (*kind = 0; *kind < MAIL_KINDS && name; (*kind)++) {
        if (strcmp(name, mail_kind_names[*kind]) == 0) {
            return 0;
        }
    }
    return arguments_fault(arguments,
                           name ? "there is no template '%s': it is verified or requires_input"
                                : "say which template: verified or requires_input%s",
                           name ? name : "");
}

/* Stripe's codes, and "unknown" for one of tomorrow. */
static int find_code(const struct arguments *arguments, enum mail_kind kind, const struct error_code **code)
{
    const char *name = arguments_value(arguments, "code");
    *code = error_code_find(name);
    if (kind == MAIL_VERIFIED && !name) {
        return 0; /* there was nothing to fail */
    }
    if (name && strcmp((*code)->code, name) == 0) {
        return 0;
    }
    struct buffer names = {0};
    for (size_t i = 0; i < error_code_count; i++) {
        buffer_append_format(&names, " %s", error_codes[i].code);
    }
    int status = arguments_fault(arguments, "%s; the codes are%s", name ? "--code names none" : "--code is required",
                                 names.data ? names.data : "");
    buffer_free(&names);
    return status;
}

/* Just one of the ways to show it, or none. */
static int find_form(const struct arguments *arguments, const char **form)
{
    static const char *const forms[] = {"text", "html", "raw"};
    *form = NULL;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (arguments_value(arguments, forms[i]) && *form) {
            return arguments_fault(arguments, "--%s and --%s exclude each other", *form, forms[i]);
        }
        *form = arguments_value(arguments, forms[i]) ? forms[i] : *form;
    }
    return 0;
}

static void put(struct text text)
{
    (void)fwrite(text.data ? text.data : "", 1, text.length, stdout);
}

static int print_raw(struct mail_writer *writer, const struct mail_order *order)
{
    struct written_mail mail;
    int status = mail_writer_write(writer, order, &mail);
    if (status == 0) {
        put(buffer_text(&mail.message));
    } else {
        (void)fputs(status == MAIL_WRITER_BAD_SENDER
                        ? "identihook: IDENTIHOOK_MAIL_FROM or IDENTIHOOK_MAIL_REPLY_TO is not an address\n"
                        : "identihook: the mail is too long, or memory ran out\n",
                    stderr);
    }
    buffer_free(&mail.message);
    return status == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int print_text(struct mail_writer *writer, const struct mail_order *order, const char *form)
{
    struct mail_facts facts = {
        .kind = order->kind, .code = order->code, .locale = order->locale, .livemode = order->livemode};
    struct mail_text text;
    int status = mail_writer_write_text(writer, &facts, &text);
    if (status < 0) {
        (void)fputs("identihook: the mail is too long, or memory ran out\n", stderr);
    } else if (form && strcmp(form, "html") == 0) {
        put(buffer_text(&text.html));
    } else {
        if (!form) {
            printf("Subject: %s\n\n", text.subject.data ? text.subject.data : "");
        }
        put(buffer_text(&text.plain));
    }
    mail_text_free(&text);
    return status < 0 ? COMMAND_FAILED : COMMAND_DONE;
}

/* What a preview needs and the settings may not have yet. */
static int fill_sender(struct settings *settings)
{
    if (!settings->mail_from) {
        settings->mail_from = strdup("identity@example.com");
    }
    return settings->mail_from ? 0 : COMMAND_FAILED;
}

static int preview(struct settings *settings, const struct mail_order *order, const char *form)
{
    struct mail_writer *writer;
    struct buffer faults = {0};
    int status = fill_sender(settings);
    int opened = mail_writer_open(settings, &writer, &faults);
    if (opened != 0) {
        (void)fprintf(stderr, "identihook: mails cannot be written:\n%s",
                      faults.data ? faults.data : "out of memory\n");
        status = opened == MAIL_WRITER_FAULTY ? COMMAND_USAGE : COMMAND_FAILED;
    }
    if (status == 0) {
        status = form && strcmp(form, "raw") == 0 ? print_raw(writer, order) : print_text(writer, order, form);
    }
    mail_writer_close(writer);
    buffer_free(&faults);
    return status;
}

int preview_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "code", .value_name = "CODE", .help = "of last_error, for requires_input; unknown is one of tomorrow"},
        {.name = "locale", .value_name = "LOCALE", .help = "as it would stand in the session's metadata: de, pt-BR"},
        {.name = "text", .help = "only the plain text"},
        {.name = "html", .help = "only the HTML, to be opened in a browser"},
        {.name = "raw", .help = "the whole mail, with its headers, as it is handed to the SMTP server"},
        {.name = "testmode", .help = "as for a session in Stripe's test mode"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook preview verified|requires_input [--code CODE] [--locale LOCALE] [--text|--html|--raw]",
        .description =
            "Writes what a mail would look like, with the settings and templates as they are. Works offline,\n"
            "sends nothing; faults of templates are told with file and line, and the exit status is 2.",
        .after_help = language_help,
        .options = options,
        .positional_maximum = 1,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    struct settings settings;
    const char *form;
    struct mail_order order = {.locale = arguments_value(&arguments, "locale"),
                               .livemode = !arguments_value(&arguments, "testmode"),
                               .to = TEXT("person@example.com"),
                               .event = TEXT("evt_preview"),
                               .date = clock_wall_seconds()};
    status = find_kind(&arguments, &order.kind);
    status = status == 0 ? find_code(&arguments, order.kind, &order.code) : status;
    status = status == 0 ? find_form(&arguments, &form) : status;
    if (status != 0) {
        return status;
    }
    status = configuration_load(&settings, 0, arguments.env_file);
    status = status == 0 ? preview(&settings, &order, form) : status;
    settings_free(&settings);
    return status;
}
