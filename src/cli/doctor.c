#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/report.h"
#include "net/curl_library.h"

static const char *const health_names[HEALTHS] = {
    [HEALTH_OK] = "ok", [HEALTH_SKIPPED] = "skipped", [HEALTH_WARNING] = "warning", [HEALTH_BROKEN] = "broken"};

/* ---- telling */

static void tell_json(struct examination *examination, enum health health, const char *check, const char *fix,
                      struct text found)
{
    bool first = true;
    for (size_t i = 0; i < HEALTHS; i++) {
        first = first && examination->counts[i] == 0;
    }
    buffer_append_string(&examination->out, first ? "{" : ",\n{");
    report_json_text(&examination->out, "check", text_of(check));
    report_json_text(&examination->out, "state", text_of(health_names[health]));
    report_json_text(&examination->out, "found", found);
    report_json_text(&examination->out, "fix", text_of(fix));
    buffer_append_byte(&examination->out, '}');
}

static void tell_text(struct examination *examination, enum health health, const char *check, const char *fix,
                      struct text found)
{
    static const char *const labels[HEALTHS] = {
        [HEALTH_OK] = "ok", [HEALTH_SKIPPED] = "-", [HEALTH_WARNING] = "WARNING", [HEALTH_BROKEN] = "BROKEN"};
    buffer_append_format(&examination->out, "%-8s %-16s ", labels[health], check);
    report_text(&examination->out, found);
    buffer_append_string(&examination->out, fix[0] != '\0' ? ": " : "");
    report_text(&examination->out, text_of(fix));
    buffer_append_byte(&examination->out, '\n');
    (void)report_print(&examination->out); /* what takes long is awaited with what is known before one's eyes */
}

void examination_tell(struct examination *examination, enum health health, const char *check, const char *fix,
                      const char *format, ...)
{
    struct buffer found = {0};
    va_list list;
    va_start(list, format);
    buffer_append_format_list(&found, format, list);
    va_end(list);
    if (examination->json) {
        tell_json(examination, health, check, fix, buffer_text(&found));
    } else {
        tell_text(examination, health, check, fix, buffer_text(&found));
    }
    examination->counts[health]++;
    buffer_free(&found);
}

/* ---- the examination */

static void check_all(struct examination *examination)
{
    struct buffer fault = {0};
    doctor_check_settings(examination);
    doctor_check_sessions(examination);
    doctor_check_redis(examination);
    if (curl_library_open(&fault) == 0) {
        doctor_check_stripe(examination);
        doctor_check_targets(examination);
        curl_library_close();
    } else {
        examination_tell(examination, examination->works ? HEALTH_BROKEN : HEALTH_SKIPPED, "libcurl", "", "%s",
                         fault.data ? fault.data : "out of memory");
    }
    buffer_free(&fault);
}

static int conclude(struct examination *examination)
{
    bool broken = examination->counts[HEALTH_BROKEN] > 0;
    if (examination->json) {
        buffer_append_byte(&examination->out, ']');
        report_json_bool(&examination->out, "ok", !broken);
        report_json_number(&examination->out, "broken", (int64_t)examination->counts[HEALTH_BROKEN]);
        report_json_number(&examination->out, "warnings", (int64_t)examination->counts[HEALTH_WARNING]);
        buffer_append_string(&examination->out, "}\n");
        broken = !report_print(&examination->out) || broken;
    } else {
        (void)fprintf(stderr, "identihook: %zu broken, %zu warnings\n", examination->counts[HEALTH_BROKEN],
                      examination->counts[HEALTH_WARNING]);
    }
    return broken ? COMMAND_FAILED : COMMAND_DONE;
}

/* Settings that cannot be read leave nothing to examine. */
static int tell_faults(struct examination *examination, const struct buffer *faults)
{
    struct text rest = faults->data ? buffer_text(faults) : TEXT("out of memory");
    while (rest.data) {
        struct text line = text_trim(text_cut(&rest, '\n'));
        if (line.length > 0) {
            examination_tell(examination, HEALTH_BROKEN, "settings", "", "%.*s", TEXT_ARGUMENTS(line));
        }
    }
    (void)conclude(examination);
    return COMMAND_USAGE;
}

static int examine(struct examination *examination, const struct settings *settings)
{
    examination->settings = settings;
    log_configure(settings->log_format, LOG_ERROR); /* what fails is told as a finding */
    if (errand_begin(&examination->errand, settings->enqueue_timeout_ms) < 0) {
        (void)fputs("identihook: no event loop can be had: out of memory or files\n", stderr);
        return COMMAND_FAILED;
    }
    check_all(examination);
    errand_close(&examination->errand);
    return conclude(examination);
}

static int read_role(const struct arguments *arguments, struct examination *examination)
{
    const char *role = arguments_value(arguments, "role");
    examination->ingests = !role || strcmp(role, "all") == 0 || strcmp(role, "ingest") == 0;
    examination->works = !role || strcmp(role, "all") == 0 || strcmp(role, "worker") == 0;
    if (!examination->ingests && !examination->works) {
        return arguments_fault(arguments, "--role takes all, ingest or worker, not '%s'", role);
    }
    return 0;
}

int doctor_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "role", .value_name = "ROLE", .help = "what is to run here: all (the default), ingest or worker"},
        {.name = "json", .help = "as one JSON object"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook doctor [--role all|ingest|worker] [--json]",
        .description =
            "Looks at each setting and each dependency, and says what to do: Redis, Stripe, the mail server, the\n"
            "onboarding service, PostgreSQL, certificates, limits. Sends no mail and no update, and shows no secret.\n"
            "Exit status: 0 nothing is broken (there may be warnings), 1 something is, 2 the settings are faulty.",
        .options = options,
    };
    struct settings settings;
    struct buffer faults = {0};
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    struct examination examination = {.json = arguments_value(&arguments, "json") != NULL};
    if (read_role(&arguments, &examination) != 0) {
        return COMMAND_USAGE;
    }
    buffer_append_string(&examination.out, examination.json ? "{\"findings\":[" : "");
    status = settings_load(&settings, 0, arguments.env_file, &faults) == 0 ? examine(&examination, &settings)
                                                                           : tell_faults(&examination, &faults);
    settings_free(&settings);
    buffer_free(&faults);
    buffer_free(&examination.out);
    return status;
}
