#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "cli/actor.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/errand.h"
#include "cli/report.h"
#include "store/control.h"

/* Pauses or resumes one thing after another. Workers look every second. */
struct pausing {
    struct errand errand;
    struct control_act act;
    struct control_act_call call;
    bool resumes;
    bool json;
    bool answered;
    bool failed;
    bool changed;
    size_t batch;    /* events that the last call made due */
    size_t released; /* all of them */
    size_t told;
    struct buffer out;
};

static void on_act(struct control_act_call *call, bool changed, size_t released, const char *error)
{
    struct pausing *pausing = CONTAINER_OF(call, struct pausing, call);
    pausing->answered = true;
    pausing->changed = pausing->changed || changed;
    pausing->batch = released;
    pausing->released += released;
    if (error) {
        pausing->failed = true;
        (void)errand_fault(error);
    }
}

static void ask(struct pausing *pausing)
{
    pausing->answered = false;
    pausing->call.callback = on_act;
    int status = pausing->resumes ? control_resume(pausing->errand.queue, &pausing->call, &pausing->act)
                                  : control_pause(pausing->errand.queue, &pausing->call, &pausing->act);
    pausing->failed = !errand_asked(&pausing->errand, status, &pausing->answered) || pausing->failed;
}

static void tell(struct pausing *pausing)
{
    struct buffer *out = &pausing->out;
    const char *state = pausing->resumes ? "resumed" : "paused";
    if (pausing->json) {
        buffer_append_string(out, pausing->told++ > 0 ? "," : "");
        buffer_append_byte(out, '{');
        report_json_text(out, "what", text_of(pausing->act.what));
        report_json_text(out, "state", text_of(state));
        report_json_bool(out, "changed", pausing->changed);
        buffer_append_byte(out, '}');
        return;
    }
    if (pausing->changed) {
        buffer_append_format(out, "%s: %s\n", pausing->act.what, state);
    } else {
        buffer_append_format(out, "%s: was %s\n", pausing->act.what,
                             pausing->resumes ? "not paused" : "paused already");
    }
}

static void change(struct pausing *pausing, const char *what)
{
    pausing->act.what = what;
    pausing->changed = false;
    do {
        ask(pausing);
    } while (!pausing->failed && pausing->batch == CONTROL_BATCH);
    if (!pausing->failed) {
        tell(pausing);
    }
}

static int run(struct pausing *pausing, const struct settings *settings, const struct arguments *arguments)
{
    int status = errand_open(&pausing->errand, settings, pausing->resumes ? "identihook-resume" : "identihook-pause");
    if (status != 0) {
        return status;
    }
    buffer_append_string(&pausing->out, pausing->json ? "{\"changes\":[" : "");
    if (arguments->positional_count == 0) {
        change(pausing, CONTROL_PROCESSING);
    }
    for (size_t i = 0; i < arguments->positional_count && !pausing->failed; i++) {
        change(pausing, arguments->positional[i]);
    }
    errand_close(&pausing->errand);
    if (pausing->json) {
        buffer_append_byte(&pausing->out, ']');
        if (pausing->resumes) {
            report_json_number(&pausing->out, "released", (int64_t)pausing->released);
        }
        buffer_append_string(&pausing->out, "}\n");
    }
    bool written = report_print(&pausing->out);
    if (pausing->released > 0) {
        (void)fprintf(stderr, "identihook: %zu events that waited are due now\n", pausing->released);
    }
    buffer_free(&pausing->out);
    return written && !pausing->failed ? COMMAND_DONE : COMMAND_FAILED;
}

/* "processing", or an effect. */
static bool can_be_paused(const char *what)
{
    bool found = strcmp(what, CONTROL_PROCESSING) == 0;
    for (enum action action = 0; action < ACTIONS; action++) {
        found = found || strcmp(what, action_names[action]) == 0;
    }
    return found;
}

static int check_names(const struct arguments *arguments)
{
    struct buffer names = {0};
    int status = 0;
    buffer_append_string(&names, CONTROL_PROCESSING);
    for (enum action action = 0; action < ACTIONS; action++) {
        buffer_append_format(&names, ", %s", action_names[action]);
    }
    for (size_t i = 0; i < arguments->positional_count && status == 0; i++) {
        if (!can_be_paused(arguments->positional[i])) {
            status = arguments_fault(arguments, "'%s' cannot be paused: there are %s", arguments->positional[i],
                                     names.data ? names.data : CONTROL_PROCESSING);
        }
    }
    buffer_free(&names);
    return status;
}

static int parse_and_run(struct arguments *arguments, int argc, char **argv, bool resumes)
{
    struct argument options[] = {
        {.name = "reason", .value_name = "TEXT", .help = "why; kept with your name in {ns}:acts, and shown by status"},
        {.name = "json", .help = "as one JSON object"},
        {.name = NULL},
    };
    char by[ACTOR_SIZE];
    struct settings settings;
    arguments->options = options;
    int status = arguments_parse(arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    if (check_names(arguments) != 0) {
        return COMMAND_USAGE;
    }
    const char *reason = arguments_value(arguments, "reason");
    struct pausing pausing = {.resumes = resumes,
                              .json = arguments_value(arguments, "json") != NULL,
                              .act = {.by = by, .reason = reason ? reason : ""}};
    actor_name(by);
    status = configuration_load(&settings, 0, arguments->env_file);
    status = status == 0 ? run(&pausing, &settings, arguments) : status;
    settings_free(&settings);
    return status;
}

int pause_run(int argc, char **argv)
{
    struct arguments arguments = {
        .usage = "identihook pause [processing|email|onboarding|postgres]... [--reason TEXT] [--json]",
        .description = "Makes all workers, within about a second, take no events any more (processing, the default), "
                       "or leave one\n"
                       "effect undone. Receiving goes on. Events whose effect is paused have their other effects, then "
                       "wait for it;\n"
                       "that counts as no try. What is under way ends as usual. identihook resume ends the pause.",
        .positional_maximum = ACTIONS + 1,
    };
    return parse_and_run(&arguments, argc, argv, false);
}

int resume_run(int argc, char **argv)
{
    struct arguments arguments = {
        .usage = "identihook resume [processing|email|onboarding|postgres]... [--reason TEXT] [--json]",
        .description = "Ends a pause: processing by default. Events that waited for the effect are due at once.",
        .positional_maximum = ACTIONS + 1,
    };
    return parse_and_run(&arguments, argc, argv, true);
}
