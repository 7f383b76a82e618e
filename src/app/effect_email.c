#include <errno.h>

#include "base/clock.h"
#include "base/mail_address.h"
#include "core/mail_message.h"
#include "core/mail_text.h"
#include "effect_private.h"

static void on_sent(void *context, const struct mail_result *sent)
{
    struct effect_run *run = context;
    struct effect_result result = {.outcome = EFFECT_DONE};
    switch (sent->outcome) {
    case MAIL_SENT:
        break;
    case MAIL_PERMANENT:
        result.outcome = EFFECT_PERMANENT;
        job_fault_set(&result.fault, "email_refused", "%s (SMTP %d)", sent->error, sent->code);
        break;
    case MAIL_UNKNOWN:
        result.outcome = EFFECT_TRANSIENT;
        job_fault_set(&result.fault, "email_unconfirmed", "%s (SMTP %d)", sent->error, sent->code);
        break;
    case MAIL_TRANSIENT:
    default:
        result.outcome = EFFECT_TRANSIENT;
        job_fault_set(&result.fault, "email_deferred", "%s (SMTP %d)", sent->error, sent->code);
        break;
    }
    run->ended(run, &result);
}

static int write_text(const struct effect_run *run, struct mail_text *text)
{
    if (run->entry->kind == EVENT_VERIFIED) {
        return mail_text_verified(text);
    }
    return mail_text_failed(text, error_code_find(run->session->error_code), run->tools->settings->retry_page);
}

static int send_message(struct effect_run *run, const struct mail_message *message, struct text from, struct text to)
{
    struct buffer bytes = {0};
    int status = mail_message_write(message, &bytes);
    if (status == 0) {
        struct mail mail = {.from = from, .to = to, .message = buffer_text(&bytes)};
        status = mail_send(run->tools->mail, &mail, on_sent, run);
    }
    buffer_wipe(&bytes);
    return status;
}

int effect_email_start(struct effect_run *run, struct effect_result *result)
{
    struct text from;
    struct text to;
    if (!run->session->email) {
        return effect_fail(
            result, EFFECT_PERMANENT, "no_email_address",
            "the session has no e-mail address: give provided_details[email] when sessions are created, or take "
            "email out of the actions");
    }
    if (mail_address_find(text_of(run->tools->settings->mail_from), &from) < 0) {
        return effect_fail(result, EFFECT_TRANSIENT, "bad_sender",
                           "IDENTIHOOK_MAIL_FROM is not an address: correct it and restart");
    }
    if (mail_address_find(text_of(run->session->email), &to) < 0) {
        return effect_fail(result, EFFECT_PERMANENT, "bad_email_address",
                           "the session's e-mail address is not one that mail can be sent to");
    }
    struct mail_text text;
    int status = write_text(run, &text);
    if (status == 0) {
        struct mail_message message = {.from = text_of(run->tools->settings->mail_from),
                                       .to = to,
                                       .event = run->entry->event,
                                       .subject = text.subject,
                                       .plain = buffer_text(&text.plain),
                                       .html = buffer_text(&text.html),
                                       .date = clock_wall_seconds()};
        status = send_message(run, &message, from, to);
    }
    mail_text_free(&text);
    if (status == 0) {
        return 0;
    }
    return effect_fail(result, EFFECT_TRANSIENT, "email_deferred",
                       status == -EAGAIN ? "too many mails wait for the SMTP server" : "out of memory");
}
