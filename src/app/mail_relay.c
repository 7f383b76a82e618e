#include "app/mail_relay.h"

void mail_relay_describe(const struct settings *settings, struct mailer_options *options)
{
    static const enum mail_tls modes[] = {[STARTTLS_WHEN_OFFERED] = MAIL_TLS_WHEN_OFFERED,
                                          [STARTTLS_REQUIRED] = MAIL_TLS_REQUIRED,
                                          [STARTTLS_OFF] = MAIL_TLS_OFF};
    *options = (struct mailer_options){
        .url = settings->smtp_url,
        .tls = modes[settings->smtp_starttls],
        .username = settings->smtp_username,
        .password = &settings->smtp_password,
        .cleartext_login = settings->smtp_cleartext_login,
        .ca_file = settings->ca_file,
        .timeout_ms = settings->smtp_timeout_ms,
        .keep_ms = settings->smtp_idle_ms,
        .threads = (size_t)settings->smtp_connections,
        .mailbox = (size_t)settings->max_waiting_mails,
    };
}
