#include "net/mail.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/list.h"
#include "mail_line.h"

/*
 * Happy path: a loop copies a mail into a letter and puts it into the mailbox (mail_send); a thread takes it, sends it
 * and hands it back to the outlet it came from (run); the outlet's loop reports it (on_wake).
 *
 * Failure modes: whatever happens to a letter on its thread is its result, so that every letter comes back. Aborting
 * cuts the threads' lines, after which sending ends at once.
 */

#define ADDRESS_MAXIMUM 254 /* RFC 5321 section 4.5.3.1.3, without its brackets */
/* Servers hang up on idle clients, and count their connections: an idle one is given back soon. */
#define KEEP_MS 10000

struct mailer {
    struct mailer_options options;
    struct mail_line *lines[MAIL_THREADS_MAXIMUM]; /* one for each thread; all there before the first thread starts */
    uv_thread_t threads[MAIL_THREADS_MAXIMUM];
    size_t thread_count;
    uv_mutex_t lock;
    uv_cond_t filled;
    struct list mailbox; /* of struct letter; under the lock */
    size_t waiting;      /* in the mailbox */
    size_t manned;       /* lines that have their thread */
    bool ending;         /* under the lock: the threads are to end */
};

struct mail_outlet {
    struct mailer *mailer;
    uv_async_t wake;
    uv_mutex_t lock;
    struct list ended; /* of struct letter; under the lock */
    _Atomic uint64_t vouched_until_ms;
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
    char from[ADDRESS_MAXIMUM + 3]; /* "<address>" */
    char to[ADDRESS_MAXIMUM + 3];
    size_t length;
    char message[];
};

/* ---- on a thread of the mailer */

static void hand_back(struct letter *letter)
{
    struct mail_outlet *outlet = letter->outlet;
    uv_mutex_lock(&outlet->lock);
    list_append(&outlet->ended, &letter->link);
    /* Under the lock: the outlet may be closed as soon as its last letter is out. */
    (void)uv_async_send(&outlet->wake);
    uv_mutex_unlock(&outlet->lock);
}

/* Under the lock. */
static struct letter *take(struct mailer *mailer)
{
    struct list *first = list_first(&mailer->mailbox);
    if (!first) {
        return NULL;
    }
    list_remove(first);
    mailer->waiting--;
    return LIST_OBJECT(first, struct letter, link);
}

/* Under the lock, which is open while it waits. False: a kept connection has waited long enough. */
static bool wait_for_letter(struct mailer *mailer, bool connected)
{
    if (!connected) {
        uv_cond_wait(&mailer->filled, &mailer->lock);
        return true;
    }
    uint64_t keep_ms = mailer->options.keep_ms > 0 ? mailer->options.keep_ms : KEEP_MS;
    return uv_cond_timedwait(&mailer->filled, &mailer->lock, keep_ms * 1000000) != UV_ETIMEDOUT;
}

/* The next letter; NULL when it is time to end. Letters that still wait come first. */
static struct letter *next_letter(struct mailer *mailer, struct mail_line *line)
{
    struct letter *letter;
    uv_mutex_lock(&mailer->lock);
    while ((letter = take(mailer)) == NULL && !mailer->ending) {
        if (!wait_for_letter(mailer, mail_line_is_up(line))) {
            uv_mutex_unlock(&mailer->lock);
            mail_line_hang_up(line);
            uv_mutex_lock(&mailer->lock);
        }
    }
    uv_mutex_unlock(&mailer->lock);
    return letter;
}

static void send_letter(struct mail_line *line, struct letter *letter)
{
    struct mail_line_letter content = {
        .from = letter->from,
        .to = letter->to,
        .message = {.data = letter->message, .length = letter->length},
    };
    if (clock_monotonic_ms() > atomic_load(&letter->outlet->vouched_until_ms)) {
        letter->result = (struct mail_result){
            .outcome = MAIL_TRANSIENT,
            .error = "not begun: this process stood still, or was without Redis, for so long that another one may have "
                     "the event",
        };
        return;
    }
    mail_line_send(line, &content, &letter->result);
}

static void run(void *context)
{
    struct mailer *mailer = context;
    uv_mutex_lock(&mailer->lock);
    struct mail_line *line = mailer->lines[mailer->manned++];
    uv_mutex_unlock(&mailer->lock);
    struct letter *letter;
    while ((letter = next_letter(mailer, line)) != NULL) {
        send_letter(line, letter);
        hand_back(letter);
    }
    mail_line_hang_up(line);
}

/* ---- the mailer */

static void free_mailer(struct mailer *mailer)
{
    for (size_t i = 0; i < MAIL_THREADS_MAXIMUM; i++) {
        mail_line_free(mailer->lines[i]);
    }
    uv_cond_destroy(&mailer->filled);
    uv_mutex_destroy(&mailer->lock);
    free(mailer);
}

static int create_mailer(const struct mailer_options *options, struct mailer **created)
{
    struct mailer *mailer = calloc(1, sizeof(*mailer));
    if (!mailer) {
        return -ENOMEM;
    }
    mailer->options = *options;
    list_init(&mailer->mailbox);
    int status = uv_mutex_init(&mailer->lock);
    if (status < 0) {
        goto fail_after_memory;
    }
    status = uv_cond_init(&mailer->filled);
    if (status < 0) {
        goto fail_after_lock;
    }
    for (size_t i = 0; i < options->threads && status == 0; i++) {
        status = mail_line_open(&mailer->options, &mailer->lines[i]);
    }
    if (status < 0) {
        free_mailer(mailer);
        return status;
    }
    *created = mailer;
    return 0;

fail_after_lock:
    uv_mutex_destroy(&mailer->lock);
fail_after_memory:
    free(mailer);
    return status;
}

int mailer_start(const struct mailer_options *options, struct mailer **started)
{
    assert(options->threads > 0 && options->threads <= MAIL_THREADS_MAXIMUM);
    struct mailer *mailer;
    int status = create_mailer(options, &mailer);
    if (status < 0) {
        return status;
    }
    while (mailer->thread_count < options->threads && status == 0) {
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
    for (size_t i = 0; i < mailer->options.threads; i++) {
        mail_line_cut(mailer->lines[i]);
    }
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
    free_mailer(mailer);
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

/* A callback may close the outlet, which lives until its handle is closed, in a later turn of the loop. */
static void on_wake(uv_async_t *wake)
{
    struct mail_outlet *outlet = wake->data;
    struct letter *letter;
    while ((letter = next_ended(outlet)) != NULL) {
        letter->callback(letter->context, &letter->result);
        free_letter(letter);
    }
}

bool mail_withdraw(struct mail_outlet *outlet, const void *context)
{
    struct mailer *mailer = outlet->mailer;
    struct letter *found = NULL;
    uv_mutex_lock(&mailer->lock);
    LIST_EACH(&mailer->mailbox, member, following)
    {
        struct letter *letter = LIST_OBJECT(member, struct letter, link);
        if (letter->outlet == outlet && letter->context == context) {
            found = letter;
        }
    }
    if (found) {
        list_remove(&found->link);
        mailer->waiting--;
    }
    uv_mutex_unlock(&mailer->lock);
    if (found) {
        free_letter(found);
    }
    return found != NULL;
}

void mail_outlet_vouch(struct mail_outlet *outlet, uint64_t until_ms)
{
    atomic_store(&outlet->vouched_until_ms, until_ms);
}

void mail_try(const struct mailer_options *options, struct mail_result *result)
{
    struct mail_line *line;
    if (mail_line_open(options, &line) < 0) {
        *result = (struct mail_result){.outcome = MAIL_TRANSIENT, .error = "out of memory"};
        return;
    }
    mail_line_try(line, result);
    mail_line_free(line);
}

int mail_outlet_open(struct mailer *mailer, uv_loop_t *loop, struct mail_outlet **opened)
{
    struct mail_outlet *outlet = calloc(1, sizeof(*outlet));
    if (!outlet) {
        return -ENOMEM;
    }
    int status = uv_mutex_init(&outlet->lock);
    if (status < 0) {
        goto fail_after_memory;
    }
    status = uv_async_init(loop, &outlet->wake, on_wake);
    if (status < 0) {
        goto fail_after_lock;
    }
    outlet->mailer = mailer;
    outlet->wake.data = outlet;
    list_init(&outlet->ended);
    atomic_init(&outlet->vouched_until_ms, UINT64_MAX);
    *opened = outlet;
    return 0;

fail_after_lock:
    uv_mutex_destroy(&outlet->lock);
fail_after_memory:
    free(outlet);
    return status;
}

static void on_outlet_closed(uv_handle_t *handle)
{
    struct mail_outlet *outlet = handle->data;
    void (*closed)(void *) = outlet->closed;
    void *context = outlet->closed_context;
    /* The thread that handed the last letter back may still be about to leave the lock. */
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

/* ---- sending */

/* Printable and nothing that ends or splits a command. Bytes above ASCII pass (RFC 6531). */
static bool is_sendable(struct text address)
{
    if (address.length == 0 || address.length > ADDRESS_MAXIMUM) {
        return false;
    }
    for (size_t i = 0; i < address.length; i++) {
        unsigned char byte = (unsigned char)address.data[i];
        if (byte <= ' ' || byte == 0x7f || byte == '<' || byte == '>') {
            return false;
        }
    }
    return true;
}

static struct letter *write_letter(struct mail_outlet *outlet, const struct mail *mail)
{
    struct letter *letter = calloc(1, sizeof(*letter) + mail->message.length);
    if (letter) {
        letter->outlet = outlet;
        (void)snprintf(letter->from, sizeof(letter->from), "<%.*s>", TEXT_ARGUMENTS(mail->from));
        (void)snprintf(letter->to, sizeof(letter->to), "<%.*s>", TEXT_ARGUMENTS(mail->to));
        letter->length = mail->message.length;
        memcpy(letter->message, mail->message.data, mail->message.length);
    }
    return letter;
}

static bool post(struct mailer *mailer, struct letter *letter)
{
    uv_mutex_lock(&mailer->lock);
    bool room = mailer->waiting < mailer->options.mailbox;
    if (room) {
        list_append(&mailer->mailbox, &letter->link);
        mailer->waiting++;
        uv_cond_signal(&mailer->filled);
    }
    uv_mutex_unlock(&mailer->lock);
    return room;
}

int mail_send(struct mail_outlet *outlet, const struct mail *mail, mail_callback *callback, void *context)
{
    if (!is_sendable(mail->from) || !is_sendable(mail->to)) {
        return -EINVAL;
    }
    struct letter *letter = write_letter(outlet, mail);
    if (!letter) {
        return -ENOMEM;
    }
    letter->callback = callback;
    letter->context = context;
    if (!post(outlet->mailer, letter)) {
        free_letter(letter);
        return -EAGAIN;
    }
    return 0;
}
