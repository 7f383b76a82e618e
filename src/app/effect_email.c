#include <errno.h>

#include "base/clock.h"
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

/* The answer to what the writer or the mailbox did not take. */
static int fail(struct effect_result *result, int status)
{
    switch (status) {
    case MAIL_WRITER_BAD_SENDER:
        return effect_fail(result, EFFECT_TRANSIENT, "bad_sender",
                           "IDENTIHOOK_MAIL_FROM or IDENTIHOOK_MAIL_REPLY_TO is not an address: correct it and "
                           "restart");
    case MAIL_WRITER_BAD_RECIPIENT:
        return effect_fail(result, EFFECT_PERMANENT, "bad_email_address",
                           "the session's e-mail address is not one that mail can be sent to");
    case MAIL_WRITER_TOO_LONG:
        return effect_fail(result, EFFECT_TRANSIENT, "mail_too_long",
                           "a template writes more than 256 KiB: correct it and send SIGHUP");
    case -EAGAIN:
        return effect_fail(result, EFFECT_TRANSIENT, "email_deferred", "too many mails wait for the SMTP server");
    default:
        return effect_fail(result, EFFECT_TRANSIENT, "email_deferred", "out of memory");
    }
}

/* ---- what is frozen: the envelope, a line each, and the mail */

static int write(const struct effect_run *run, struct buffer *out)
{
    const struct session *session = run->session;
    struct mail_order order = {
        .kind = run->entry->kind == EVENT_VERIFIED ? MAIL_VERIFIED : MAIL_REQUIRES_INPUT,
        .code = error_code_find(session->error_code),
        .locale = session_metadata(session, run->tools->settings->mail_locale_key),
        .livemode = session->livemode,
        .to = text_of(session->email),
        .event = run->entry->event,
        .date = clock_wall_seconds(),
    };
    struct written_mail written;
    int status = mail_writer_write(run->tools->writer, &order, &written);
    if (status == 0) {
        buffer_append_format(out, "%s\n%s\n", written.from, written.to);
        buffer_append(out, buffer_text(&written.message));
        status = buffer_status(out);
    }
    buffer_wipe(&written.message);
    return status;
}

void effect_email_prepare(struct effect_run *run)
{
    if (run->session->email && write(run, &run->mail) != 0) {
        buffer_wipe(&run->mail);
    }
}

static int post(struct effect_run *run)
{
    struct mail mail = {.message = buffer_text(&run->mail)};
    mail.from = text_cut(&mail.message, '\n');
    mail.to = text_cut(&mail.message, '\n');
    return mail_send(run->tools->mail, &mail, on_sent, run);
}

int effect_email_start(struct effect_run *run, struct effect_result *result)
{
    if (run->mail.length == 0 && !run->session->email) {
        bool skip = run->tools->settings->missing_email == MISSING_SKIP;
        return effect_fail(result, skip ? EFFECT_SKIPPED : EFFECT_PERMANENT, "no_email_address",
                           "the session has no e-mail address: give provided_details[email] when sessions are created, "
                           "take email out of the actions, or set IDENTIHOOK_MISSING_EMAIL=skip");
    }
    struct buffer discarded = {0};
    int status = run->mail.length > 0 ? 0 : write(run, &discarded); /* says why there is none */
    buffer_wipe(&discarded);
    if (status == 0 && run->mail.length == 0) {
        status = -ENOMEM; /* there was none a moment ago */
    }
    status = status == 0 ? post(run) : status;
    return status == 0 ? 0 : fail(result, status);
}
