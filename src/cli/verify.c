#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/environment.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "stripe/signature.h"
#include "stripe/signature_help.h"

static int print_verdict(const struct settings *settings, const struct signature_result *result,
                         const struct signature_help *help)
{
    if (result->verdict == SIGNATURE_VALID) {
        const char *label = settings->webhook_secrets[result->key].label;
        printf("valid: signed with secret %zu of %zu%s%s%s, %" PRId64 " seconds %s\n", result->key + 1,
               settings->webhook_secret_count, label[0] ? " (" : "", label, label[0] ? ")" : "",
               result->age >= 0 ? result->age : -result->age, result->age >= 0 ? "ago" : "in the future");
        return COMMAND_DONE;
    }
    printf("invalid: %s\n%s\n", signature_verdict_code(result->verdict), help->message);
    return COMMAND_FAILED;
}

static int verify_body(const struct settings *settings, struct text header, struct text body, int64_t now,
                       int64_t tolerance)
{
    struct text secrets[WEBHOOK_SECRETS_MAXIMUM];
    struct signature_keys *keys;
    struct signature_result result;
    struct signature_help help;
    for (size_t i = 0; i < settings->webhook_secret_count; i++) {
        secrets[i] = secret_reveal(&settings->webhook_secrets[i].value);
    }
    if (signature_keys_create(secrets, settings->webhook_secret_count, &keys) < 0) {
        (void)fputs("identihook: out of memory\n", stderr);
        return COMMAND_FAILED;
    }
    (void)signature_verify(keys, header, body, now, tolerance, &result);
    signature_explain(keys, header, body, &result, tolerance, &help);
    signature_keys_free(keys);
    return print_verdict(settings, &result, &help);
}

static int read_payload(const char *path, struct buffer *body)
{
    int status = strcmp(path, "-") == 0 ? environment_read_input(body) : environment_read_file(path, body);
    if (status < 0) {
        (void)fprintf(stderr, "identihook: the payload %s cannot be read: %s\n", path, strerror(-status));
    }
    return status;
}

/* "Stripe-Signature: t=…" is what people copy; the name is not part of the value. */
static struct text header_value(const char *header)
{
    struct text value = text_of(header);
    struct text rest = value;
    struct text name = text_cut(&rest, ':');
    return rest.data && text_equal_ignoring_case(name, TEXT("stripe-signature")) ? text_trim(rest) : value;
}

static int verify(const struct arguments *arguments)
{
    const char *payload = arguments_value(arguments, "payload");
    const char *header = arguments_value(arguments, "header");
    int64_t now;
    int64_t tolerance;
    struct settings settings;
    if (!payload || !header) {
        return arguments_fault(arguments, "--%s is required", payload ? "header" : "payload");
    }
    if (arguments_number(arguments, "at", 0, INT64_MAX, clock_wall_seconds(), &now) < 0 ||
        arguments_number(arguments, "tolerance", 1, INT32_MAX, 0, &tolerance) < 0) {
        return COMMAND_USAGE;
    }
    int status = configuration_load(&settings, SETTINGS_FOR_INGEST, arguments->env_file);
    if (status == 0) {
        struct buffer body = {0};
        tolerance = tolerance != 0 ? tolerance : (int64_t)(settings.signature_tolerance_ms / 1000);
        status = read_payload(payload, &body) < 0
                     ? COMMAND_USAGE
                     : verify_body(&settings, header_value(header), buffer_text(&body), now, tolerance);
        buffer_wipe(&body);
    }
    settings_free(&settings);
    return status;
}

int verify_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "payload", .value_name = "FILE", .help = "the request's body, byte for byte; - is standard input"},
        {.name = "header", .value_name = "TEXT", .help = "the value of the Stripe-Signature header"},
        {.name = "at", .value_name = "SECONDS", .help = "judge as of this time (seconds since 1970) and not of now"},
        {.name = "tolerance", .value_name = "SECONDS", .help = "instead of IDENTIHOOK_SIGNATURE_TOLERANCE"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook verify --payload FILE --header TEXT [--at SECONDS] [--tolerance SECONDS]",
        .description =
            "Checks a webhook's signature offline with the secrets in STRIPE_WEBHOOK_SECRET, and says why it fails.\n"
            "Exit status: 0 valid, 1 invalid, 2 wrong usage.",
        .options = options,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    return verify(&arguments);
}
