#include "app/mail_writer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <uv.h>

#include "base/environment.h"
#include "base/mail_address.h"
#include "net/mail_domain.h"

#define FILES_MAXIMUM 1000

struct mail_writer {
    const struct settings *settings;
    uv_rwlock_t lock; /* of the templates: mails are written with it held for reading */
    struct mail_templates *templates;
};

/* ---- reading the folder */

struct find {
    char *path;
    char *locale;
    char *name;
    struct buffer content;
};

/* What was found. */
struct finds {
    struct find *items;
    struct mail_template_file *files; /* a view of them */
    size_t count;
    struct buffer *faults;
};

static void free_finds(struct finds *finds)
{
    for (size_t i = 0; i < finds->count; i++) {
        free(finds->items[i].path);
        free(finds->items[i].locale);
        free(finds->items[i].name);
        buffer_free(&finds->items[i].content);
    }
    free(finds->items);
    free(finds->files);
}

static int fault_in(struct finds *finds, const char *path, const char *fault)
{
    buffer_append_format(finds->faults, "%s: %s\n", path, fault);
    return MAIL_WRITER_FAULTY;
}

static int add_file(struct finds *finds, const char *path, const char *locale, const char *name)
{
    if (finds->count == FILES_MAXIMUM) {
        return fault_in(finds, path, "there are more than 1000 files");
    }
    struct find *find = &finds->items[finds->count++];
    find->path = strdup(path);
    find->locale = strdup(locale);
    find->name = strdup(name);
    int status = environment_read_file(path, &find->content);
    if (status < 0 && status != -ENOMEM) {
        char fault[128];
        (void)snprintf(fault, sizeof(fault), "cannot be read: %s", strerror(-status));
        return fault_in(finds, path, fault);
    }
    return status < 0 || !find->path || !find->locale || !find->name ? -ENOMEM : 0;
}

/* Others may lie beside them: pictures, a README, what an editor left. */
static bool is_template(const char *name)
{
    const char *ending = strrchr(name, '.');
    return ending && (strcmp(ending, ".txt") == 0 || strcmp(ending, ".html") == 0 || strcmp(ending, ".subject") == 0);
}

static int read_folder(struct finds *finds, const char *path, const char *locale);

/* A folder in a folder of a language is none of ours. */
static int read_member(struct finds *finds, const char *folder, const char *locale, const char *name)
{
    char path[4096];
    struct stat info;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) || stat(path, &info) < 0) {
        return fault_in(finds, folder, "has a file in it that cannot be found: is a link broken?");
    }
    if (S_ISDIR(info.st_mode)) {
        return locale[0] == '\0' && mail_locale_is_one(text_of(name)) ? read_folder(finds, path, name) : 0;
    }
    return is_template(name) ? add_file(finds, path, locale, name) : 0;
}

static int read_folder(struct finds *finds, const char *path, const char *locale)
{
    DIR *directory = opendir(path);
    if (!directory) {
        char fault[128];
        (void)snprintf(fault, sizeof(fault), "cannot be read: %s", strerror(errno));
        return fault_in(finds, path, fault);
    }
    int result = 0;
    for (struct dirent *member; result >= 0 && (member = readdir(directory)) != NULL;) {
        /* Hidden ones are not for us: Kubernetes keeps its versions of mounted files in them. */
        int status = member->d_name[0] == '.' ? 0 : read_member(finds, path, locale, member->d_name);
        result = status != 0 ? status : result;
    }
    (void)closedir(directory);
    return result;
}

static int compile(struct finds *finds, struct mail_templates **templates)
{
    for (size_t i = 0; i < finds->count; i++) {
        const struct find *find = &finds->items[i];
        finds->files[i] = (struct mail_template_file){
            .path = find->path, .locale = find->locale, .name = find->name, .content = buffer_text(&find->content)};
    }
    int status = mail_templates_create(finds->files, finds->count, templates, finds->faults);
    return status > 0 ? MAIL_WRITER_FAULTY : status;
}

static int read_templates(const struct settings *settings, struct mail_templates **templates, struct buffer *faults)
{
    struct finds finds = {
        .items = calloc(FILES_MAXIMUM, sizeof(*finds.items)),
        .files = calloc(FILES_MAXIMUM, sizeof(*finds.files)),
        .faults = faults,
    };
    int status = finds.items && finds.files ? 0 : -ENOMEM;
    if (status == 0 && settings->mail_templates) {
        status = read_folder(&finds, settings->mail_templates, "");
    }
    if (status == 0) {
        status = compile(&finds, templates);
    }
    free_finds(&finds);
    return status;
}

/* ---- the writer */

int mail_writer_open(const struct settings *settings, struct mail_writer **opened, struct buffer *faults)
{
    struct mail_writer *writer = calloc(1, sizeof(*writer));
    *opened = NULL;
    if (!writer) {
        return -ENOMEM;
    }
    writer->settings = settings;
    int status = uv_rwlock_init(&writer->lock);
    if (status < 0) {
        free(writer);
        return status;
    }
    if (mail_domain_library_open(faults) != 0) {
        buffer_append_byte(faults, '\n');
        mail_writer_close(writer);
        return MAIL_WRITER_FAULTY;
    }
    status = read_templates(settings, &writer->templates, faults);
    if (status != 0) {
        mail_writer_close(writer);
        return status;
    }
    *opened = writer;
    return 0;
}

int mail_writer_reload(struct mail_writer *writer, struct buffer *faults)
{
    struct mail_templates *fresh;
    int status = read_templates(writer->settings, &fresh, faults);
    if (status != 0) {
        return status;
    }
    uv_rwlock_wrlock(&writer->lock);
    struct mail_templates *old = writer->templates;
    writer->templates = fresh;
    uv_rwlock_wrunlock(&writer->lock);
    mail_templates_free(old);
    return 0;
}

void mail_writer_close(struct mail_writer *writer)
{
    if (writer) {
        mail_templates_free(writer->templates);
        uv_rwlock_destroy(&writer->lock);
        free(writer);
    }
}

/* ---- writing */

int mail_writer_write_text(struct mail_writer *writer, const struct mail_facts *facts, struct mail_text *text)
{
    struct mail_facts whole = *facts;
    whole.settings = writer->settings;
    uv_rwlock_rdlock(&writer->lock);
    int status = mail_templates_write(writer->templates, &whole, text);
    uv_rwlock_rdunlock(&writer->lock);
    return status;
}

/* "Name <address>" of the settings, its domain in ASCII in `ascii`. */
static int read_mailbox(const char *setting, struct mailbox *mailbox, char ascii[MAIL_ADDRESS_SIZE])
{
    struct text address;
    int status = mail_address_find(text_of(setting), &address);
    status = status == 0 ? mail_domain_to_ascii(address, ascii) : status;
    if (status == 0) {
        *mailbox = (struct mailbox){.name = mail_address_name(text_of(setting)), .address = text_of(ascii)};
    }
    return status;
}

static int read_recipient(struct text to, struct mailbox *mailbox, char ascii[MAIL_ADDRESS_SIZE])
{
    struct text address;
    int status = mail_address_find(to, &address);
    status = status == 0 ? mail_domain_to_ascii(address, ascii) : status;
    *mailbox = (struct mailbox){.address = status == 0 ? text_of(ascii) : (struct text){0}};
    return status;
}

static int compose(struct mail_writer *writer, const struct mail_order *order, struct mail_message *message,
                   struct buffer *out)
{
    struct mail_facts facts = {
        .kind = order->kind, .code = order->code, .locale = order->locale, .livemode = order->livemode};
    struct mail_text text;
    int status = mail_writer_write_text(writer, &facts, &text);
    if (status == 0) {
        message->subject = buffer_text(&text.subject);
        message->plain = buffer_text(&text.plain);
        message->html = buffer_text(&text.html);
        status = mail_message_write(message, out);
    }
    mail_text_free(&text);
    return status == -EMSGSIZE ? MAIL_WRITER_TOO_LONG : status;
}

int mail_writer_write(struct mail_writer *writer, const struct mail_order *order, struct written_mail *mail)
{
    const struct settings *settings = writer->settings;
    char reply_to[MAIL_ADDRESS_SIZE];
    struct mail_message message = {.event = order->event, .date = order->date};
    *mail = (struct written_mail){0};
    int status = read_mailbox(settings->mail_from, &message.from, mail->from);
    if (status == 0 && settings->mail_reply_to) {
        status = read_mailbox(settings->mail_reply_to, &message.reply_to, reply_to);
    }
    if (status < 0) {
        return status == -ENOMEM ? status : MAIL_WRITER_BAD_SENDER;
    }
    status = read_recipient(order->to, &message.to, mail->to);
    if (status < 0) {
        return status == -ENOMEM ? status : MAIL_WRITER_BAD_RECIPIENT;
    }
    return compose(writer, order, &message, &mail->message);
}
