#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

struct settings;

/*
 * One row of the table of settings, and the readers that turn a setting's text into its field.
 *
 * A reader returns 0 or -ENOMEM. When the text is not a value of its kind it sets *fault to what is wrong, as the end
 * of a sentence that starts with the setting's name ("is not a duration"), never with the value in it.
 */
struct setting {
    const char *name;
    int (*read)(const struct setting *setting, struct settings *settings, struct text value, const char **fault);
    size_t offset;        /* of the field in struct settings, for the readers of general kinds */
    uint64_t least;       /* smallest allowed number */
    uint64_t most;        /* largest */
    const char *fallback; /* the default as people write it; NULL: not set */
    const char *example;
    const char *help;
    bool secret;
    unsigned need; /* enum settings_need: who cannot do without; 0: nobody */
};

typedef int setting_reader(const struct setting *setting, struct settings *settings, struct text value,
                           const char **fault);

/* Appends "1k to 64M", in the unit of the setting's kind; nothing when the kind has no range. */
void setting_append_range(const struct setting *setting, struct buffer *out);

/* Kinds that any field can have; the field's type stands behind each. */
setting_reader setting_text;     /* char *, not empty, no blanks at its ends, no control characters */
setting_reader setting_word;     /* char *, printable without blanks */
setting_reader setting_http_url; /* char *, http:// or https://, without a login */
setting_reader setting_base_url; /* the same, and without query and fragment: paths are put behind it */
setting_reader setting_secret;   /* struct secret */
setting_reader setting_count;    /* uint64_t */
setting_reader setting_size;     /* uint64_t, bytes */
setting_reader setting_duration; /* uint64_t, milliseconds */
setting_reader setting_rate;     /* uint64_t, per minute */
setting_reader setting_endpoint; /* struct endpoint */

/* Kinds that one setting has. */
setting_reader setting_webhook_secrets;
setting_reader setting_stripe_key;
setting_reader setting_signing_secret; /* of Standard Webhooks */
setting_reader setting_redis;
setting_reader setting_namespace;
setting_reader setting_path;
setting_reader setting_tolerance; /* a duration; bare digits are seconds, as in Stripe's libraries */
setting_reader setting_events;
setting_reader setting_livemode;
setting_reader setting_private_addresses;
setting_reader setting_durability;
setting_reader setting_missing_email;
setting_reader setting_accounts;
setting_reader setting_missing_user;
setting_reader setting_access_log;
setting_reader setting_actions;
setting_reader setting_outputs;
setting_reader setting_smtp;
setting_reader setting_mail_from;
setting_reader setting_address; /* char *, a bare e-mail address */
setting_reader setting_color;   /* char *, "#rrggbb" */
setting_reader setting_database;
setting_reader setting_token_secrets;
setting_reader setting_integration;
setting_reader setting_session_type;
setting_reader setting_flow;
setting_reader setting_document_options;
setting_reader setting_document_types;
setting_reader setting_header_name;
setting_reader setting_origins;
setting_reader setting_publishable_key;
setting_reader setting_log_format;
setting_reader setting_log_level;
