#include "net/mail.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "base/list.h"

#define THREADS_MAXIMUM 16
#define KEPT_CONNECTION_S 10 /* servers hang up on idle clients, and a mail that meets that must wait for its retry */

struct mailer {
    struct mailer_options options;
    uv_thread_t threads[THREADS_MAXIMUM];
    size_t thread_count;
    uv_mutex_t lock;
    uv_cond_t filled;
    struct list mailbox; /* of struct letter; under the lock */
    size_t waiting;      /* in the mailbox */
    bool ending;         /* under the lock: the threads are to end */
    atomic_bool aborting;
};

struct mail_outlet {
    struct mailer *mailer;
    uv_async_t wake;
    uv_mutex_t lock;
    struct list ended; /* of struct letter; under the lock */
    void (*closed)(void *context);
    void *closed_context;
};

/* A mail on its way. */
struct letter {
    struct list link;
    struct mail_outlet *outlet;
    mail_callback *callback;
    void *context;
    struct mail_result result;
    char from[264]; /* "<address>" */
    char to[264];
    size_t length;
    size_t sent; /* bytes that libcurl has taken */
    bool all_sent;
    struct mailer *mailer;
    char message[];
};

/* ---- one mail, on a thread of the mailer */

static size_t on_more(char *buffer, size_t size, size_t count, void *context)
{
    struct letter *letter = context;
    size_t length = letter->length - letter->sent;
    length = length < size * count ? length : size * count;
    memcpy(buffer, letter->message + letter->sent, length);
    letter->sent += length;
    letter->all_sent = letter->all_sent || length == 0;
    return length;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct mailer *mailer = context;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&mailer->aborting) ? 1 : 0;
}

static void set_connection(CURL *easy, struct mailer *mailer)
{
    const struct mailer_options *options = &mailer->options;
    bool checked = options->tls == MAIL_TLS_REQUIRED || strncmp(options->url, "smtps:", 6) == 0;
    long use = options->tls == MAIL_TLS_REQUIRED ? CURLUSESSL_ALL
               : options->tls == MAIL_TLS_OFF    ? CURLUSESSL_NONE
                                                 : CURLUSESSL_TRY;
    (void)curl_easy_setopt(easy, CURLOPT_URL, options->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USE_SSL, use);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, checked ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, checked ? 2L : 0L);
    if (options->ca_file) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    }
    if (options->username) {
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, options->username);
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, secret_reveal(options->password).data);
    }
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(options->timeout_ms / 1000 + 1));
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_S);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFODATA, mailer);
}

static void set_result(struct mail_result *result, enum mail_outcome outcome, int code, const char *what)
{
    result->outcome = outcome;
    result->code = code;
    (void)snprintf(result->error, sizeof(result->error), "%s", what);
}

/* The SMTP code decides where there is one that ends the mail; libcurl's own codes mislead here. */
static void judge(struct letter *letter, CURLcode code, long last_code)
{
    struct mail_result *result = &letter->result;
    if (code == CURLE_OK) {
        set_result(result, MAIL_SENT, (int)last_code, "");
    } else if (code == CURLE_LOGIN_DENIED || last_code == 535 || last_code == 534 || last_code == 530) {
        /* A wrong password is the operator's to mend; it must not bury every event meanwhile. */
        set_result(result, MAIL_TRANSIENT, (int)last_code,
                   "the SMTP server refuses the login: check SMTP_USERNAME and SMTP_PASSWORD");
    } else if (last_code >= 500 && last_code <= 599) {
        set_result(result, MAIL_PERMANENT, (int)last_code,
                   "the SMTP server refuses the mail for good: see its log for this code");
    } else if (last_code >= 400 && last_code <= 499) {
        set_result(result, MAIL_TRANSIENT, (int)last_code, "the SMTP server does not take the mail now");
    } else if (letter->all_sent) {
        set_result(result, MAIL_UNKNOWN, (int)last_code,
                   "the SMTP server got the whole mail and did not say whether it takes it; it will be sent again, "
                   "with the same "
                   "Message-ID");
    } else {
        set_result(result, MAIL_TRANSIENT, (int)last_code,
                   "the SMTP server cannot be reached or hung up: check SMTP_URL");
        size_t used = strlen(result->error);
        (void)snprintf(result->error + used, sizeof(result->error) - used, " (%s)", curl_easy_strerror(code));
    }
}

static void deliver(CURL *easy, struct letter *letter)
{
    struct curl_slist *recipients = curl_slist_append(NULL, letter->to);
    if (!recipients || atomic_load(&letter->mailer->aborting)) {
        set_result(&letter->result, MAIL_TRANSIENT, 0, "the mailer is stopping");
        curl_slist_free_all(recipients);
        return;
    }
    curl_easy_reset(easy); /* keeps the connection */
    set_connection(easy, letter->mailer);
    (void)curl_easy_setopt(easy, CURLOPT_MAIL_FROM, letter->from);
    (void)curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_more);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, letter);
    CURLcode code = curl_easy_perform(easy);
    long last_code = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &last_code);
    judge(letter, code, last_code);
    curl_slist_free_all(recipients);
}

static void hand_back(struct letter *letter)
{
    struct mail_outlet *outlet = letter->outlet;
    uv_mutex_lock(&outlet->lock);
    list_append(&outlet->ended, &letter->link);
    /* Under the lock: the outlet may be closed as soon as its last letter is out. */
    (void)uv_async_send(&outlet->wake);
    uv_mutex_unlock(&outlet->lock);
}

static struct letter *take(struct mailer *mailer)
{
    uv_mutex_lock(&mailer->lock);
    while (list_is_empty(&mailer->mailbox) && !mailer->ending) {
        uv_cond_wait(&mailer->filled, &mailer->lock);
    }
    struct list *first = list_first(&mailer->mailbox);
    if (first) {
        list_remove(first);
        mailer->waiting--;
    }
    uv_mutex_unlock(&mailer->lock);
    return first ? LIST_OBJECT(first, struct letter, link) : NULL;
}

static void run(void *context)
{
    struct mailer *mailer = context;
    CURL *easy = NULL;
    struct letter *letter;
    while ((letter = take(mailer)) != NULL) {
        easy = easy ? easy : curl_easy_init();
        if (easy) {
            deliver(easy, letter);
        } else {
            set_result(&letter->result, MAIL_TRANSIENT, 0, "out of memory");
        }
        hand_back(letter);
    }
    curl_easy_cleanup(easy);
}

/* ---- the mailer */

int mailer_start(const struct mailer_options *options, struct mailer **started)
{
    struct mailer *mailer = calloc(1, sizeof(*mailer));
    if (!mailer) {
        return -ENOMEM;
    }
    mailer->options = *options;
    list_init(&mailer->mailbox);
    if (uv_mutex_init(&mailer->lock) < 0 || uv_cond_init(&mailer->filled) < 0) {
        free(mailer);
        return -ENOMEM;
    }
    size_t wanted = options->threads < THREADS_MAXIMUM ? options->threads : THREADS_MAXIMUM;
    int status = 0;
    while (mailer->thread_count < wanted && status == 0) {
        status = uv_thread_create(&mailer->threads[mailer->thread_count], run, mailer);
        mailer->thread_count += status == 0;
    }
    if (status < 0) {
        mailer_stop(mailer);
        return status;
    }
    *started = mailer;
    return 0;
}

void mailer_abort(struct mailer *mailer)
{
    atomic_store(&mailer->aborting, true);
}

void mailer_stop(struct mailer *mailer)
{
    if (!mailer) {
        return;
    }
    mailer_abort(mailer);
    uv_mutex_lock(&mailer->lock);
    mailer->ending = true;
    uv_cond_broadcast(&mailer->filled);
    uv_mutex_unlock(&mailer->lock);
    for (size_t i = 0; i < mailer->thread_count; i++) {
        (void)uv_thread_join(&mailer->threads[i]);
    }
    uv_cond_destroy(&mailer->filled);
    uv_mutex_destroy(&mailer->lock);
    free(mailer);
}

/* ---- outlets, on their loops */

static void free_letter(struct letter *letter)
{
    OPENSSL_cleanse(letter->message, letter->length);
    OPENSSL_cleanse(letter->to, sizeof(letter->to));
    free(letter);
}

static struct letter *next_ended(struct mail_outlet *outlet)
{
    uv_mutex_lock(&outlet->lock);
    struct list *first = list_first(&outlet->ended);
    if (first) {
        list_remove(first);
    }
    uv_mutex_unlock(&outlet->lock);
    return first ? LIST_OBJECT(first, struct letter, link) : NULL;
}

static void on_wake(uv_async_t *wake)
{
    struct mail_outlet *outlet = wake->data;
    struct letter *letter;
    while ((letter = next_ended(outlet)) != NULL) {
        letter->callback(letter->context, &letter->result);
        free_letter(letter);
    }
}

int mail_outlet_open(struct mailer *mailer, uv_loop_t *loop, struct mail_outlet **opened)
{
    struct mail_outlet *outlet = calloc(1, sizeof(*outlet));
    if (!outlet || uv_mutex_init(&outlet->lock) < 0) {
        free(outlet);
        return -ENOMEM;
    }
    int status = uv_async_init(loop, &outlet->wake, on_wake);
    if (status < 0) {
        uv_mutex_destroy(&outlet->lock);
        free(outlet);
        return status;
    }
    outlet->mailer = mailer;
    outlet->wake.data = outlet;
    list_init(&outlet->ended);
    *opened = outlet;
    return 0;
}

static void on_outlet_closed(uv_handle_t *handle)
{
    struct mail_outlet *outlet = handle->data;
    void (*closed)(void *) = outlet->closed;
    void *context = outlet->closed_context;
    /* A thread may still be about to leave the lock. */
    uv_mutex_lock(&outlet->lock);
    uv_mutex_unlock(&outlet->lock);
    uv_mutex_destroy(&outlet->lock);
    free(outlet);
    closed(context);
}

void mail_outlet_close(struct mail_outlet *outlet, void (*closed)(void *context), void *context)
{
    outlet->closed = closed;
    outlet->closed_context = context;
    uv_close((uv_handle_t *)&outlet->wake, on_outlet_closed);
}

int mail_send(struct mail_outlet *outlet, const struct mail *mail, mail_callback *callback, void *context)
{
    struct mailer *mailer = outlet->mailer;
    struct letter *letter = calloc(1, sizeof(*letter) + mail->message.length);
    if (!letter) {
        return -ENOMEM;
    }
    letter->outlet = outlet;
    letter->mailer = mailer;
    letter->callback = callback;
    letter->context = context;
    (void)snprintf(letter->from, sizeof(letter->from), "<%.*s>", TEXT_ARGUMENTS(mail->from));
    (void)snprintf(letter->to, sizeof(letter->to), "<%.*s>", TEXT_ARGUMENTS(mail->to));
    letter->length = mail->message.length;
    memcpy(letter->message, mail->message.data, mail->message.length);
    uv_mutex_lock(&mailer->lock);
    bool room = mailer->waiting < mailer->options.mailbox;
    if (room) {
        list_append(&mailer->mailbox, &letter->link);
        mailer->waiting++;
        uv_cond_signal(&mailer->filled);
    }
    uv_mutex_unlock(&mailer->lock);
    if (!room) {
        free_letter(letter);
        return -EAGAIN;
    }
    return 0;
}
