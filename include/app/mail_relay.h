#pragma once

#include "base/settings.h"
#include "net/mail.h"

/* How the settings want mails to be sent; SMTP_URL is set. `options` borrows from them. */
void mail_relay_describe(const struct settings *settings, struct mailer_options *options);
