#include "mail_line.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "curl_functions.h"
#include "smtp_words.h"

/*
 * Happy path: greeting, EHLO, perhaps STARTTLS and AUTH, then MAIL, RCPT, DATA, the mail, 250. The next mail on the
 * same connection begins at MAIL.
 *
 * Failure modes: libcurl's own codes tell little (a refused recipient is CURLE_SEND_ERROR), so we follow the dialogue
 * ourselves: which command went out last, and what was answered to it. See judge().
 *
 * libcurl waits for the answer to QUIT, for up to two minutes. Nobody needs that answer: the sockets are known here,
 * and are shut for reading as soon as QUIT is out.
 */

#define CONNECT_TIMEOUT_MS 10000
#define SOCKETS_MAXIMUM 8 /* one, or two while IPv6 and IPv4 are tried side by side */

/* Which part of the dialogue the last command belongs to. */
enum stage { STAGE_SESSION, STAGE_SENDER, STAGE_RECIPIENT, STAGE_CONTENT };

struct mail_line {
    const struct mailer_options *options;
    CURL *easy; /* NULL: nothing is kept */
    atomic_bool cut;
    uv_mutex_t lock; /* of the sockets */
    int sockets[SOCKETS_MAXIMUM];
    size_t socket_count;

    /* The mail under way. */
    const struct mail_line_letter *letter;
    size_t taken;     /* bytes that libcurl has taken */
    bool handed_over; /* all of it, and libcurl knows: the end of the mail may be on the wire */
    enum stage stage;
    bool over;         /* QUIT was said: what counts was said before */
    int reply;         /* to the last command; 0: none yet */
    char enhanced[16]; /* its enhanced status code, as in "5.1.1" (RFC 3463), or "" */
    char words[140];   /* what else it said, as far as it may be repeated */
    bool takes_utf8;   /* the server of this connection offers SMTPUTF8 (RFC 6531) */
    bool lacks_utf8;   /* this mail would need it */
    char fault[CURL_ERROR_SIZE];
};

/* ---- sockets: known here so that another thread can cut them */

static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct mail_line *line = context;
    (void)purpose;
    uv_mutex_lock(&line->lock);
    int fd = -1;
    if (!atomic_load(&line->cut) && line->socket_count < SOCKETS_MAXIMUM) {
        fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
    if (fd >= 0) {
        line->sockets[line->socket_count++] = fd;
        line->takes_utf8 = false;
    }
    uv_mutex_unlock(&line->lock);
    return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

/* Under the lock, so that nobody shuts a number that has become somebody else's. */
static int on_close_socket(void *context, curl_socket_t fd)
{
    struct mail_line *line = context;
    uv_mutex_lock(&line->lock);
    for (size_t i = 0; i < line->socket_count; i++) {
        if (line->sockets[i] == fd) {
            line->sockets[i] = line->sockets[--line->socket_count];
            break;
        }
    }
    int status = close(fd);
    uv_mutex_unlock(&line->lock);
    return status;
}

static void shut(struct mail_line *line, int how)
{
    uv_mutex_lock(&line->lock);
    for (size_t i = 0; i < line->socket_count; i++) {
        (void)shutdown(line->sockets[i], how);
    }
    uv_mutex_unlock(&line->lock);
}

/* Who reads, or will, meets the end of the connection at once. Writing goes on: QUIT still goes out. */
static void shut_for_reading(struct mail_line *line)
{
    shut(line, SHUT_RD);
}

void mail_line_cut(struct mail_line *line)
{
    atomic_store(&line->cut, true); /* on_progress() ends what is writing */
    shut_for_reading(line);
}

bool mail_line_is_up(struct mail_line *line)
{
    uv_mutex_lock(&line->lock);
    bool up = line->socket_count > 0;
    uv_mutex_unlock(&line->lock);
    return up;
}

void mail_line_hang_up(struct mail_line *line)
{
    if (!line->easy) {
        return;
    }
    shut_for_reading(line); /* the answer to QUIT finds us not waiting */
    curl_easy_cleanup(line->easy);
    line->easy = NULL;
}

/* ---- following the dialogue */

static bool is_ascii(const char *string)
{
    while (*string && (unsigned char)*string < 0x80) {
        string++;
    }
    return *string == '\0';
}

/* Such an address would go out in bytes that this server has not agreed to: nothing of the mail may follow. */
static void check_utf8(struct mail_line *line)
{
    bool needed = !is_ascii(line->letter->from) || !is_ascii(line->letter->to);
    if (needed && !line->takes_utf8) {
        line->lacks_utf8 = true;
        shut(line, SHUT_RDWR);
    }
}

static void note_command(struct mail_line *line, struct text command)
{
    if (text_starts_with(command, TEXT("MAIL FROM:"))) {
        line->stage = STAGE_SENDER;
        check_utf8(line);
    } else if (text_starts_with(command, TEXT("RCPT TO:"))) {
        line->stage = STAGE_RECIPIENT;
    } else if (text_starts_with(command, TEXT("DATA"))) {
        line->stage = STAGE_CONTENT;
    } else if (text_starts_with(command, TEXT("QUIT"))) {
        line->over = true;
        shut_for_reading(line);
        return;
    }
    line->reply = 0;
    line->enhanced[0] = '\0';
    line->words[0] = '\0';
}

/* "550 5.1.1 no such user" and "550-5.1.1 no such user": the numbers are kept, and of the words those that name nobody.
 */
static void note_reply(struct mail_line *line, struct text reply)
{
    uint64_t code;
    if (line->over || reply.length < 4 ||
        text_to_unsigned((struct text){.data = reply.data, .length = 3}, 599, &code) < 0 || code < 200) {
        return;
    }
    line->reply = (int)code;
    line->enhanced[0] = '\0';
    size_t length = 0;
    while (4 + length < reply.length && length < sizeof(line->enhanced) - 1 &&
           strchr("0123456789.", reply.data[4 + length])) {
        length++;
    }
    struct text enhanced = {.data = reply.data + 4, .length = length};
    struct text rest = {.data = reply.data + 4, .length = reply.length - 4};
    if (length >= 5 && reply.data[5] == '.' && reply.data[4] == reply.data[0]) {
        (void)snprintf(line->enhanced, sizeof(line->enhanced), "%.*s", TEXT_ARGUMENTS(enhanced));
        rest.data += length;
        rest.length -= length;
    }
    rest = text_trim(text_cut(&rest, '\r'));
    if (code >= 400) {
        smtp_words_append(rest, line->words, sizeof(line->words));
    } else if (line->stage == STAGE_SESSION && text_equal_ignoring_case(rest, TEXT("SMTPUTF8"))) {
        line->takes_utf8 = true;
    }
}

static int on_dialogue(CURL *easy, curl_infotype kind, char *data, size_t length, void *context)
{
    struct text text = {.data = data, .length = length};
    (void)easy;
    if (kind == CURLINFO_HEADER_OUT) {
        note_command(context, text);
    } else if (kind == CURLINFO_HEADER_IN) {
        note_reply(context, text);
    }
    return 0;
}

static size_t on_more(char *buffer, size_t size, size_t count, void *context)
{
    struct mail_line *line = context;
    struct text message = line->letter->message;
    size_t length = message.length - line->taken;
    length = length < size * count ? length : size * count;
    memcpy(buffer, message.data + line->taken, length);
    line->taken += length;
    line->handed_over = line->handed_over || length == 0;
    return length;
}

/* Called about once a second whatever libcurl is doing, name lookup included. */
static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct mail_line *line = context;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&line->cut) ? 1 : 0;
}

/* ---- libcurl's options */

static CURLcode set_security(CURL *easy, const struct mailer_options *options)
{
    bool checked = options->tls == MAIL_TLS_REQUIRED || strncasecmp(options->url, "smtps:", 6) == 0;
    bool in_clear = !options->username || options->cleartext_login;
    long use = options->tls == MAIL_TLS_REQUIRED          ? CURLUSESSL_ALL
               : options->tls == MAIL_TLS_OFF && in_clear ? CURLUSESSL_NONE
               : in_clear                                 ? CURLUSESSL_TRY
                                                          : CURLUSESSL_ALL;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_USE_SSL, use);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, checked ? 1L : 0L);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, checked ? 2L : 0L);
    if (options->ca_file) {
        code = code ? code : curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (options->username) {
        code = code ? code : curl_easy_setopt(easy, CURLOPT_USERNAME, options->username);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_PASSWORD, secret_reveal(options->password).data);
    }
    return code;
}

static void set_limits(CURL *easy, uint64_t timeout_ms)
{
    long all = timeout_ms < INT_MAX ? (long)timeout_ms : INT_MAX;
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, all);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, all < CONNECT_TIMEOUT_MS ? all : CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, all / 1000 + 1);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void set_callbacks(CURL *easy, struct mail_line *line)
{
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, line->fault);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_more);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, line);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, line);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, line);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFODATA, line);
    (void)curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L); /* to on_dialogue() alone */
    (void)curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_dialogue);
    (void)curl_easy_setopt(easy, CURLOPT_DEBUGDATA, line);
}

/* Those that make the connection; and of the mail, if there is one. */
static CURLcode set_options(struct mail_line *line, const struct curl_slist *recipients)
{
    CURL *easy = line->easy;
    curl_easy_reset(easy); /* keeps the connection */
    set_limits(easy, line->options->timeout_ms);
    set_callbacks(easy, line);
    CURLcode code = set_security(easy, line->options);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_URL, line->options->url);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (!line->letter) { /* nothing but a look: NOOP, of whose answer only the code counts */
        code = code ? code : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "NOOP");
        return code ? code : curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    code = code ? code : curl_easy_setopt(easy, CURLOPT_MAIL_FROM, line->letter->from);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    return code;
}

/* ---- judging */

static void set_result(struct mail_result *result, enum mail_outcome outcome, const struct mail_line *line,
                       const char *what)
{
    result->outcome = outcome;
    result->code = line->reply;
    (void)snprintf(result->error, sizeof(result->error), "%s%s%s%s%s%s", what, line->enhanced[0] ? " (" : "",
                   line->enhanced, line->enhanced[0] ? ")" : "", line->words[0] ? "; it says: " : "", line->words);
}

static void set_unreachable(struct mail_result *result, const struct mail_line *line, CURLcode code)
{
    result->outcome = MAIL_TRANSIENT;
    result->code = line->reply;
    (void)snprintf(result->error, sizeof(result->error), "the SMTP server cannot be reached or hung up (%.120s)",
                   line->fault[0] ? line->fault : curl_easy_strerror(code));
}

/* Codes that speak of the login and of TLS at any stage (RFC 4954 section 6, RFC 3207 section 4). */
static bool is_login_code(int reply)
{
    return reply == 530 || reply == 534 || reply == 535 || reply == 538;
}

static const char *refused_at(enum stage stage)
{
    switch (stage) {
    case STAGE_SENDER:
        return "the SMTP server refuses the sender for good: check IDENTIHOOK_MAIL_FROM";
    case STAGE_RECIPIENT:
        return "the SMTP server refuses the recipient for good";
    case STAGE_SESSION:
    case STAGE_CONTENT:
    default:
        return "the SMTP server refuses the mail for good: see its log for this code";
    }
}

static void judge(struct mail_line *line, CURLcode code, struct mail_result *result)
{
    bool refused = line->reply >= 400;
    bool answered = line->handed_over && line->reply >= 200 && line->reply <= 299;
    if (code == CURLE_OK || answered) {
        set_result(result, MAIL_SENT, line, "");
        result->error[0] = '\0';
    } else if (line->lacks_utf8) {
        set_result(result, MAIL_PERMANENT, line,
                   "the address has letters beyond ASCII in front of its '@', and the SMTP server does not offer "
                   "SMTPUTF8: use one that does, and replay");
    } else if (code == CURLE_LOGIN_DENIED || is_login_code(line->reply)) {
        set_result(result, MAIL_TRANSIENT, line,
                   "the SMTP server refuses the login: check SMTP_USERNAME, SMTP_PASSWORD and SMTP_URL");
    } else if (code == CURLE_USE_SSL_FAILED && !refused) {
        set_result(result, MAIL_TRANSIENT, line,
                   "the SMTP server does not offer STARTTLS: no login is sent without it, and no mail where "
                   "starttls=required: check SMTP_URL");
        result->code = 0; /* it refused nothing */
    } else if (refused && line->stage == STAGE_SESSION) {
        set_result(result, MAIL_TRANSIENT, line, "the SMTP server refuses to talk to us: see its log for this code");
    } else if (line->reply >= 500) {
        set_result(result, MAIL_PERMANENT, line, refused_at(line->stage));
    } else if (refused) {
        set_result(result, MAIL_TRANSIENT, line, "the SMTP server does not take the mail now");
    } else if (line->handed_over) {
        set_result(
            result, MAIL_UNKNOWN, line,
            "the SMTP server got the whole mail and did not say whether it takes it: if it is sent again, it may "
            "arrive twice, with the same Message-ID");
    } else if (atomic_load(&line->cut)) {
        set_result(result, MAIL_TRANSIENT, line, "the mailer is stopping");
    } else {
        set_unreachable(result, line, code);
    }
}

/* ---- one mail */

static void begin(struct mail_line *line, const struct mail_line_letter *letter)
{
    line->letter = letter;
    line->taken = 0;
    line->handed_over = false;
    line->stage = STAGE_SESSION;
    line->over = false;
    line->lacks_utf8 = false;
    line->reply = 0;
    line->enhanced[0] = '\0';
    line->words[0] = '\0';
    line->fault[0] = '\0';
}

static CURLcode try_once(struct mail_line *line, const struct curl_slist *recipients)
{
    CURLcode code = set_options(line, recipients);
    return code ? code : curl_easy_perform(line->easy);
}

/* The kept connection was dead, or the server had said goodbye on it: no mail was begun there. */
static bool was_stale(const struct mail_line *line, CURLcode code)
{
    long connections = 0;
    (void)curl_easy_getinfo(line->easy, CURLINFO_NUM_CONNECTS, &connections);
    return code != CURLE_OK && code != CURLE_OPERATION_TIMEDOUT && !line->lacks_utf8 && connections == 0 &&
           line->stage == STAGE_SENDER && (line->reply == 0 || line->reply == 421);
}

static CURLcode send_letter(struct mail_line *line, const struct mail_line_letter *letter)
{
    struct curl_slist *recipients = curl_slist_append(NULL, letter->to);
    line->easy = line->easy ? line->easy : curl_easy_init();
    if (!recipients || !line->easy) {
        curl_slist_free_all(recipients);
        return CURLE_OUT_OF_MEMORY;
    }
    CURLcode code = try_once(line, recipients);
    if (was_stale(line, code) && !atomic_load(&line->cut)) {
        begin(line, letter);
        code = try_once(line, recipients);
    }
    curl_slist_free_all(recipients);
    return code;
}

void mail_line_send(struct mail_line *line, const struct mail_line_letter *letter, struct mail_result *result)
{
    begin(line, letter);
    CURLcode code = atomic_load(&line->cut) ? CURLE_ABORTED_BY_CALLBACK : send_letter(line, letter);
    judge(line, code, result);
    line->letter = NULL;
}

void mail_line_try(struct mail_line *line, struct mail_result *result)
{
    begin(line, NULL);
    line->easy = line->easy ? line->easy : curl_easy_init();
    judge(line, line->easy ? try_once(line, NULL) : CURLE_OUT_OF_MEMORY, result);
}

/* ---- the line */

int mail_line_open(const struct mailer_options *options, struct mail_line **opened)
{
    struct mail_line *line = calloc(1, sizeof(*line));
    if (!line) {
        return -ENOMEM;
    }
    if (uv_mutex_init(&line->lock) < 0) {
        free(line);
        return -ENOMEM;
    }
    line->options = options;
    *opened = line;
    return 0;
}

void mail_line_free(struct mail_line *line)
{
    if (!line) {
        return;
    }
    mail_line_hang_up(line);
    uv_mutex_destroy(&line->lock);
    free(line);
}
