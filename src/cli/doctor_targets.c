#include <stdio.h>
#include <string.h>

#include "app/database.h"
#include "app/mail_relay.h"
#include "cli/doctor.h"
#include "net/fetch.h"
#include "net/mail.h"
#include "net/postgres_library.h"
#include "store/schema.h"

/* ---- mail */

static void check_mail(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    struct mailer_options options;
    struct mail_result result;
    if (!settings->smtp_url) {
        examination_tell(examination, HEALTH_SKIPPED, "mail", "", "SMTP_URL is not set");
        return;
    }
    mail_relay_describe(settings, &options);
    mail_try(&options, &result);
    if (result.outcome == MAIL_SENT) {
        examination_tell(examination, HEALTH_OK, "mail", "", "%s takes us%s; no mail was sent", settings->smtp_url,
                         settings->smtp_username ? " and our login" : "");
    } else {
        bool told = strstr(result.error, "check") != NULL;
        examination_tell(examination, HEALTH_BROKEN, "mail", told ? "" : "check that it runs, and SMTP_URL", "%s: %s",
                         settings->smtp_url, result.error);
    }
}

/* ---- onboarding */

struct visit {
    bool answered;
    enum fetch_fault fault;
    char fault_text[300];
};

static void on_visited(void *context, const struct fetch_result *result)
{
    struct visit *visit = context;
    visit->answered = true;
    visit->fault = result->fault;
    (void)snprintf(visit->fault_text, sizeof(visit->fault_text), "%s", result->fault_text);
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static void tell_visit(struct examination *examination, const struct visit *visit)
{
    const char *url = examination->settings->onboarding_url;
    if (visit->answered && visit->fault == FETCH_FINE) {
        examination_tell(examination, HEALTH_OK, "onboarding", "", "%s can be reached; nothing was posted", url);
    } else if (visit->answered && visit->fault == FETCH_FORBIDDEN) {
        examination_tell(examination, HEALTH_BROKEN, "onboarding",
                         "check the name, or see IDENTIHOOK_ONBOARDING_PRIVATE", "%s: %s", url, visit->fault_text);
    } else {
        examination_tell(examination, HEALTH_BROKEN, "onboarding",
                         "check IDENTIHOOK_ONBOARDING_URL, that the service runs, and its certificate", "%s: %s", url,
                         visit->answered ? visit->fault_text : "no connection in time");
    }
}

static void check_onboarding(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    struct fetcher_options options = {
        .user_agent = "identihook-doctor", .ca_file = settings->ca_file, .max_concurrent = 1};
    struct fetcher *fetcher;
    struct fetch *fetch;
    struct visit visit = {0};
    bool closed = false;
    if (!settings->onboarding_url) {
        examination_tell(examination, HEALTH_SKIPPED, "onboarding", "", "IDENTIHOOK_ONBOARDING_URL is not set");
        return;
    }
    struct fetch_request request = {
        .url = settings->onboarding_url,
        .timeout_ms = settings->onboarding_timeout_ms,
        .reach = settings->onboarding_reach,
        .ca_file = settings->onboarding_ca,
        .certificate = settings->onboarding_certificate,
        .key = settings->onboarding_key,
        .only_connects = true,
    };
    if (fetcher_create(&examination->errand.loop, &options, &fetcher) < 0) {
        return;
    }
    if (fetch_start(fetcher, &request, on_visited, &visit, &fetch) == 0) {
        (void)errand_await(&examination->errand, settings->onboarding_timeout_ms + 1000, &visit.answered);
    }
    tell_visit(examination, &visit);
    fetcher_close(fetcher, on_closed, &closed);
    (void)errand_await(&examination->errand, 1000, &closed);
}

/* ---- PostgreSQL */

struct visited_schema {
    struct schema_call call;
    bool answered;
    int version;
    char error[300];
};

static void on_schema(struct schema_call *call, const struct schema_result *result)
{
    struct visited_schema *visited = CONTAINER_OF(call, struct visited_schema, call);
    visited->answered = true;
    visited->version = result->version;
    (void)snprintf(visited->error, sizeof(visited->error), "%s", result->error);
}

static void tell_schema(struct examination *examination, const struct visited_schema *visited)
{
    if (!visited->answered || visited->version < 0) {
        examination_tell(examination, HEALTH_BROKEN, "postgres", "check that it runs, and DATABASE_URL", "%s",
                         visited->answered ? visited->error : "it did not answer in time");
    } else if (visited->version < SCHEMA_VERSION) {
        examination_tell(examination, HEALTH_BROKEN, "postgres", "run identihook migrate",
                         visited->version == 0 ? "it has no tables of identihook" : "its tables are of version %d",
                         visited->version);
    } else {
        examination_tell(examination, HEALTH_OK, "postgres", "", "its tables are there, of version %d",
                         visited->version);
    }
}

static void ask_database(struct examination *examination)
{
    const struct settings *settings = examination->settings;
    struct postgres *postgres;
    struct visited_schema visited = {.call = {.callback = on_schema}};
    bool closed = false;
    if (database_open(&examination->errand.loop, settings, 1, &postgres) < 0) {
        examination_tell(examination, HEALTH_BROKEN, "postgres",
                         "DATABASE_URL=postgresql://user:password@host:port/database", "DATABASE_URL cannot be read");
        return;
    }
    if (schema_read(postgres, &visited.call) == 0) {
        (void)errand_await(&examination->errand,
                           settings->postgres_connect_timeout_ms + settings->postgres_timeout_ms + 1000,
                           &visited.answered);
    }
    tell_schema(examination, &visited);
    postgres_close(postgres, on_closed, &closed);
    (void)errand_await(&examination->errand, 1000, &closed);
}

static void check_database(struct examination *examination)
{
    struct buffer fault = {0};
    if (!secret_is_set(&examination->settings->database_url)) {
        examination_tell(examination, HEALTH_SKIPPED, "postgres", "", "DATABASE_URL is not set");
    } else if (postgres_library_open(&fault) != 0) {
        examination_tell(examination, HEALTH_BROKEN, "postgres", "", "%s", fault.data ? fault.data : "out of memory");
    } else {
        ask_database(examination);
    }
    buffer_free(&fault);
}

void doctor_check_targets(struct examination *examination)
{
    if (examination->works) {
        check_mail(examination);
        check_onboarding(examination);
        check_database(examination);
    }
}
