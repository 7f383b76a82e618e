#include <inttypes.h>
#include <sys/resource.h>

#include "app/mail_writer.h"
#include "app/session_desk.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "cli/report.h"
#include "net/certificate.h"
#include "net/tls.h"

#define DAY_S 86400
#define EXPIRY_WARNING_DAYS 14
#define FILES_RESERVED 64 /* as serve reserves them */
#define SECRET_LENGTH 20  /* Stripe's are longer */

/* ---- secrets */

static void check_webhook_secrets(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    if (settings->webhook_secret_count == 0) {
        examination_tell(examination, examination->ingests ? HEALTH_BROKEN : HEALTH_SKIPPED, "webhook secret",
                         examination->ingests ? "set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret (whsec_…)"
                                              : "",
                         "there is none");
        return;
    }
    size_t strange = 0;
    for (size_t i = 0; i < settings->webhook_secret_count; i++) {
        struct text secret = secret_reveal(&settings->webhook_secrets[i].value);
        strange += !text_starts_with(secret, TEXT("whsec_")) || secret.length < SECRET_LENGTH ? 1 : 0;
    }
    if (strange > 0) {
        examination_tell(examination, HEALTH_WARNING, "webhook secret",
                         "copy it from the endpoint's page in the Dashboard, where it begins with whsec_",
                         "%zu of %zu do not look like Stripe's", strange, settings->webhook_secret_count);
    } else {
        examination_tell(examination, HEALTH_OK, "webhook secret", "", "%zu, of the right form%s",
                         settings->webhook_secret_count,
                         settings->webhook_secret_count > 1 ? "; remove the old one when the rotation is over" : "");
    }
}

/* ---- the certificate */

static void check_validity(struct examination *examination, const char *path)
{
    struct certificate_validity validity;
    int64_t now = clock_wall_seconds();
    if (certificate_read_validity(path, &validity) < 0) {
        examination_tell(examination, HEALTH_BROKEN, "certificate", "check the file", "%s has no certificate in PEM",
                         path);
        return;
    }
    int64_t days = (validity.until_s - now) / DAY_S;
    if (now < validity.from_s) {
        examination_tell(examination, HEALTH_BROKEN, "certificate", "check this machine's clock, and the file",
                         "%s is not valid yet", path);
    } else if (now >= validity.until_s) {
        examination_tell(examination, HEALTH_BROKEN, "certificate", "renew it, then send SIGHUP", "%s has expired",
                         path);
    } else if (days < EXPIRY_WARNING_DAYS) {
        examination_tell(examination, HEALTH_WARNING, "certificate", "renew it, then send SIGHUP",
                         "%s expires in %" PRId64 " days", path, days);
    } else {
        examination_tell(examination, HEALTH_OK, "certificate", "", "%s is valid for %" PRId64 " days", path, days);
    }
}

static void check_certificate(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    struct tls_options options = {
        .certificate = settings->tls_certificate, .key = settings->tls_key, .client_ca = settings->tls_client_ca};
    struct tls_context *context;
    char error[256];
    if (!settings->tls_certificate) {
        examination_tell(examination, HEALTH_OK, "certificate", "",
                         "none: the webhook listener speaks plain HTTP, behind a proxy that has TLS");
        return;
    }
    if (tls_context_create(&options, &context, error) < 0) {
        examination_tell(examination, HEALTH_BROKEN, "certificate",
                         "check IDENTIHOOK_TLS_CERT, IDENTIHOOK_TLS_KEY and IDENTIHOOK_TLS_CLIENT_CA", "%s", error);
        return;
    }
    tls_context_release(context);
    check_validity(examination, settings->tls_certificate);
}

/* ---- what the machine allows */

static void check_open_files(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    struct rlimit limit;
    uint64_t wanted = settings->max_connections + settings->concurrency + FILES_RESERVED;
    wanted += session_desk_is_wanted(settings) ? settings->loops * SESSION_DESK_FILES : 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    if (examination->ingests && limit.rlim_max < wanted) {
        examination_tell(examination, HEALTH_WARNING, "open files",
                         "raise the hard limit (LimitNOFILE=, ulimit -Hn), or lower IDENTIHOOK_MAX_CONNECTIONS",
                         "%" PRIu64 " are wanted for IDENTIHOOK_MAX_CONNECTIONS, and %" PRIu64 " allowed", wanted,
                         (uint64_t)limit.rlim_max);
    } else {
        examination_tell(examination, HEALTH_OK, "open files", "", "%" PRIu64 " are allowed", (uint64_t)limit.rlim_max);
    }
}

static void check_templates(struct examination *examination)
{
    struct mail_writer *writer = NULL;
    struct buffer faults = {0};
    if (!examination->settings->smtp_url) {
        return;
    }
    if (mail_writer_open(examination->settings, &writer, &faults) != 0) {
        struct text first = faults.data ? buffer_text(&faults) : TEXT("out of memory");
        first = text_cut(&first, '\n');
        examination_tell(examination, HEALTH_BROKEN, "templates", "mend it; identihook preview shows a mail", "%.*s",
                         TEXT_ARGUMENTS(first));
    } else {
        examination_tell(examination, HEALTH_OK, "templates", "", "%s",
                         examination->settings->mail_templates ? examination->settings->mail_templates
                                                               : "the built-in ones");
    }
    mail_writer_close(writer);
    buffer_free(&faults);
}

/* ---- what is configured at all */

static void check_actions(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    if (!examination->works) {
        return;
    }
    if (settings->actions_verified.count == 0 && settings->actions_requires_input.count == 0) {
        examination_tell(examination, HEALTH_WARNING, "actions",
                         "set SMTP_URL, IDENTIHOOK_ONBOARDING_URL or DATABASE_URL",
                         "events set nothing off: they are only recorded in the outcomes");
        return;
    }
    if (settings->actions_requires_input.count > 0 && settings->smtp_url && !settings->retry_page) {
        examination_tell(examination, HEALTH_WARNING, "actions", "set IDENTIHOOK_RETRY_PAGE to your page for that",
                         "mails tell people to try again, and not where");
        return;
    }
    examination_tell(examination, HEALTH_OK, "actions", "", "%zu for verified, %zu for requires_input",
                     settings->actions_verified.count, settings->actions_requires_input.count);
}

void doctor_check_settings(struct examination *examination)
{
    examination_tell(examination, HEALTH_OK, "settings", "", "all of them can be read");
    check_webhook_secrets(examination);
    check_actions(examination);
    if (examination->ingests) {
        check_certificate(examination);
    }
    check_open_files(examination);
    check_templates(examination);
}
