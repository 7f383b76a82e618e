#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/buffer.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/redis_url.h"
#include "base/secret.h"

/*
 * Every setting of identihook, read once from the environment.
 *
 * One table (settings_table.h) defines each setting: name, kind, range, default, help, example. Loading, --help and
 * the README's table come from it. Nothing else in the program reads the environment, but for what a service manager
 * passes (base/service_manager.h).
 */

#define WEBHOOK_SECRETS_MAXIMUM 16
#define SESSION_SECRETS_MAXIMUM 8
#define ORIGINS_MAXIMUM 32
#define ACTIONS_MAXIMUM 4

struct webhook_secret {
    char label[32]; /* "" when none was given; for logs */
    struct secret value;
};

/* What is waited for before a 200. */
enum durability_setting { DURABILITY_MEMORY, DURABILITY_REPLICA, DURABILITY_AOF };

enum access_log_mode { ACCESS_LOG_OFF, ACCESS_LOG_ERRORS, ACCESS_LOG_ALL };
enum livemode_filter { LIVEMODE_ANY, LIVEMODE_LIVE, LIVEMODE_TEST };

/* What an event sets off. The last is not to be chosen: a redaction sets it off. */
enum action { ACTION_EMAIL, ACTION_ONBOARDING, ACTION_POSTGRES, ACTION_ERASE, ACTIONS };

/* "email", "onboarding", "postgres", "erase". */
extern const char *const action_names[ACTIONS];

struct action_list {
    bool given; /* set explicitly; otherwise filled with the actions whose target is configured */
    size_t count;
    enum action items[ACTIONS_MAXIMUM];
};

/* What an effect does for a session that lacks what it would need: made elsewhere, sessions may lack anything. */
enum missing_policy { MISSING_SKIP, MISSING_DEAD, MISSING_SEND };

/* Whether a request may go to private addresses. */
enum private_addresses {
    PRIVATE_WHERE_NAMED, /* only where the URL itself says so: an IP address, localhost, a name of no public domain */
    PRIVATE_ALLOWED,
    PRIVATE_REFUSED,
};

enum starttls_mode { STARTTLS_WHEN_OFFERED, STARTTLS_REQUIRED, STARTTLS_OFF };

/* How a client goes through the verification, and so what it is given: a client secret, a URL, an ephemeral key. */
enum integration { INTEGRATION_MODAL, INTEGRATION_REDIRECT, INTEGRATION_NATIVE, INTEGRATIONS };

/* "modal", "redirect", "native". */
extern const char *const integration_names[INTEGRATIONS];

/* Bits of document_options and document_types, in the order of their settings. */
enum document_option { DOCUMENT_LIVE_CAPTURE, DOCUMENT_MATCHING_SELFIE, DOCUMENT_ID_NUMBER, DOCUMENT_OPTIONS };
enum document_type { DOCUMENT_DRIVING_LICENSE, DOCUMENT_ID_CARD, DOCUMENT_PASSPORT, DOCUMENT_TYPES };

/* Stripe's names of them. */
extern const char *const document_option_names[DOCUMENT_OPTIONS];
extern const char *const document_type_names[DOCUMENT_TYPES];

/* Creating verification sessions; off when there is no secret. */
struct session_settings {
    struct secret token_secrets[SESSION_SECRETS_MAXIMUM];
    size_t token_secret_count;
    char *token_audience; /* NULL: not checked */
    char *token_issuer;   /* NULL: not checked */
    uint64_t token_leeway_ms;
    enum integration integration; /* of a request that names none */
    char *type;                   /* "document" or "id_number"; not with a flow */
    char *flow;                   /* NULL, or vf_… */
    unsigned document_options;    /* bit N: enum document_option N */
    unsigned document_types;      /* bit N: enum document_type N; none: Stripe's default, all of them */
    char *return_url;
    uint64_t timeout_ms;
    uint64_t attempts;
    uint64_t attempts_window_ms;
    uint64_t record_ms;
    uint64_t user_rate; /* these three per minute */
    uint64_t status_rate;
    uint64_t address_rate;
    char *address_header; /* NULL: the connection's own address */
    char *origins[ORIGINS_MAXIMUM];
    size_t origin_count;
    char *publishable_key; /* NULL: the page redirects */
    char *stripe_js_url;
};

struct settings {
    struct webhook_secret webhook_secrets[WEBHOOK_SECRETS_MAXIMUM];
    size_t webhook_secret_count;
    struct secret stripe_key;
    char *stripe_api_base;
    char *stripe_api_version;
    uint64_t stripe_timeout_ms;
    uint64_t stripe_rate; /* reads per minute */

    struct redis_url redis;
    char *namespace;

    struct endpoint listen;
    struct endpoint admin_listen;
    char *webhook_path;
    char *tls_certificate;
    char *tls_key;
    char *tls_client_ca;
    uint64_t loops; /* never 0 after loading */
    uint64_t signature_tolerance_ms;
    unsigned events; /* bit N: enum event_kind N of stripe/event.h is queued */
    enum livemode_filter livemode;
    enum access_log_mode access_log;

    uint64_t max_body;
    uint64_t max_header_bytes;
    uint64_t max_headers;
    uint64_t max_url;
    uint64_t max_connections;
    uint64_t max_connections_per_address; /* 0: no limit */
    uint64_t max_requests_per_connection; /* 0: no limit */
    uint64_t max_pipelined;
    uint64_t max_arriving_bytes;
    uint64_t max_in_flight;
    uint64_t max_in_flight_bytes;
    uint64_t redis_connections;
    uint64_t redis_check_every_ms;
    uint64_t require_durable; /* 0 or 1 */
    enum durability_setting durability;
    uint64_t durability_replicas;
    uint64_t header_timeout_ms;
    uint64_t request_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t linger_timeout_ms;
    uint64_t enqueue_timeout_ms;
    uint64_t drain_delay_ms;
    uint64_t shutdown_timeout_ms;

    uint64_t dedupe_window_ms;
    uint64_t history_ms;
    uint64_t trim_every_ms;
    uint64_t group_stalled_ms;
    uint64_t concurrency;
    uint64_t max_attempts;
    uint64_t retry_base_ms;
    uint64_t retry_cap_ms;
    uint64_t claim_after_ms;

    uint64_t breaker_faults;
    uint64_t breaker_pause_ms;

    uint64_t reconcile_every_ms; /* 0: only on command */
    uint64_t reconcile_since_ms;
    uint64_t reconcile_grace_ms;
    char *reconcile_accounts; /* NULL, or acct_…, separated by commas */

    struct action_list actions_verified;
    struct action_list actions_requires_input;
    unsigned verified_outputs; /* bit N: enum verified_output N of stripe/session.h is fetched and passed on */

    enum missing_policy missing_email; /* SKIP or DEAD */
    enum missing_policy missing_user;

    char *smtp_url; /* NULL: no e-mail. Without the query part */
    enum starttls_mode smtp_starttls;
    char *smtp_username;
    struct secret smtp_password;
    bool smtp_cleartext_login; /* a login may go over a connection without TLS */
    uint64_t smtp_timeout_ms;
    uint64_t smtp_connections;
    uint64_t smtp_idle_ms;
    uint64_t max_waiting_mails;
    char *mail_from;
    char *mail_reply_to;  /* NULL: the sender */
    char *mail_templates; /* NULL: only the built-in ones */
    char *mail_locale_key;
    char *retry_page;
    char *alternative_page;
    char *support_address; /* bare */

    char *brand_name;
    char *brand_color; /* "#rrggbb", never NULL */
    char *brand_logo_url;

    char *onboarding_url; /* NULL: no onboarding service */
    struct secret onboarding_secret;
    struct secret onboarding_token;
    char *onboarding_certificate;
    char *onboarding_key;
    char *onboarding_ca;
    enum private_addresses onboarding_private;
    enum address_reach onboarding_reach; /* what that comes to for this URL */
    uint64_t onboarding_timeout_ms;
    uint64_t onboarding_concurrency;
    uint64_t onboarding_max_response;

    struct secret database_url; /* not set: no PostgreSQL */
    uint64_t postgres_connections;
    uint64_t postgres_connect_timeout_ms;
    uint64_t postgres_timeout_ms;
    struct session_settings sessions;

    char *ca_file;

    enum log_format log_format;
    enum log_level log_level;
};

/* Whether events of this mode are queued. */
static inline bool settings_want_mode(const struct settings *settings, bool livemode)
{
    return settings->livemode == LIVEMODE_ANY || (settings->livemode == LIVEMODE_LIVE) == livemode;
}

/* What a command cannot do without. */
enum settings_need {
    SETTINGS_FOR_INGEST = 1, /* STRIPE_WEBHOOK_SECRET */
    SETTINGS_FOR_WORK = 2,   /* STRIPE_SECRET_KEY */
};

#define SETTINGS_FAULTY 1

/*
 * Fills `settings` from the environment and, where given, from `env_file` (NAME=VALUE lines; the environment wins).
 * `needs` is a set of enum settings_need.
 *
 * 0, or SETTINGS_FAULTY: then `faults` has a line for each fault, which names the variable, what is wrong, and an
 * example, but never a secret's value. Either way `settings` is to be freed. -ENOMEM when memory ran out.
 */
MUST_CHECK int settings_load(struct settings *settings, unsigned needs, const char *env_file, struct buffer *faults);

/* Overwrites the secrets and frees all of it. */
void settings_free(struct settings *settings);

/* The table as plain text for --help, and as the Markdown table of the README. */
void settings_describe(struct buffer *out);
void settings_describe_markdown(struct buffer *out);
