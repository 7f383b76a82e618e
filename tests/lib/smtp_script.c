#include "smtp_script.h"

#include <stdio.h>
#include <string.h>

/* What happens at a step besides the usual. False: the connection ends here. */
static bool pass(struct script_peer *peer, struct smtp_script *script, enum smtp_step step)
{
    if (script->stall_at == step) {
        script_wait_for_end(peer);
        return false;
    }
    if (script->pause_at == step) {
        script_pause(script->pause_ms);
    }
    return script->close_at != step;
}

static bool answer(struct script_peer *peer, struct smtp_script *script, enum smtp_step step, const char *usual)
{
    if (!pass(peer, script, step)) {
        return false;
    }
    script_say(peer, script->reply_at == step ? script->reply : usual);
    return true;
}

static bool read_content(struct script_peer *peer, struct smtp_script *script)
{
    char line[2048];
    char message[sizeof(script->message)] = "";
    size_t used = 0;
    while (script_line(peer, line, sizeof(line))) {
        if (strcmp(line, ".") == 0) {
            pthread_mutex_lock(&script->lock);
            memcpy(script->message, message, sizeof(message));
            pthread_mutex_unlock(&script->lock);
            return true;
        }
        int added = snprintf(message + used, sizeof(message) - used, "%s\n", line + (line[0] == '.'));
        used += (size_t)added < sizeof(message) - used ? (size_t)added : 0;
    }
    return false;
}

static bool leave(struct script_peer *peer)
{
    script_say(peer, "421 4.7.0 enough of this connection\r\n");
    return false;
}

static bool take_mail(struct script_peer *peer, struct smtp_script *script)
{
    if (!answer(peer, script, SMTP_DATA, "354 go on\r\n")) {
        return false;
    }
    if (script->reply_at == SMTP_DATA) {
        return true;
    }
    if (!pass(peer, script, SMTP_CONTENT) || !read_content(peer, script)) {
        return false;
    }
    if (script->reply_at != SMTP_FINAL) {
        atomic_fetch_add(&script->mails, 1); /* before whoever hears of it looks */
    }
    if (!answer(peer, script, SMTP_FINAL, "250 2.0.0 taken\r\n")) {
        return false;
    }
    return script->goodbye != SMTP_LEAVES_AT_ONCE || leave(peer);
}

static void keep(struct smtp_script *script, char *to, const char *line)
{
    pthread_mutex_lock(&script->lock);
    (void)snprintf(to, sizeof(script->to), "%.*s", (int)sizeof(script->to) - 1, line);
    pthread_mutex_unlock(&script->lock);
}

static bool greet(struct script_peer *peer, struct smtp_script *script)
{
    bool offers_tls = script->offers_tls && !peer->tls;
    char capabilities[128];
    (void)snprintf(capabilities, sizeof(capabilities), "250-test\r\n%s%s%s250 8BITMIME\r\n",
                   offers_tls ? "250-STARTTLS\r\n" : "", script->offers_login ? "250-AUTH PLAIN\r\n" : "",
                   script->offers_utf8 ? "250-SMTPUTF8\r\n" : "");
    return answer(peer, script, SMTP_EHLO, capabilities);
}

static bool take_login(struct script_peer *peer, struct smtp_script *script)
{
    char line[300];
    script_say(peer, "334 \r\n");
    if (!script_line(peer, line, sizeof(line))) {
        return false;
    }
    keep(script, script->login, line);
    return answer(peer, script, SMTP_AUTH, "235 2.7.0 welcome\r\n");
}

static bool obey(struct script_peer *peer, struct smtp_script *script, const char *line)
{
    if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "HELO", 4) == 0) {
        return greet(peer, script);
    }
    if (strcmp(line, "STARTTLS") == 0) {
        script_say(peer, "220 go on\r\n");
        atomic_fetch_add(&script->tls_started, 1);
        return script_start_tls(peer);
    }
    if (strcmp(line, "AUTH PLAIN") == 0) {
        return take_login(peer, script);
    }
    if (strncmp(line, "MAIL", 4) == 0) {
        keep(script, script->from, line);
        return answer(peer, script, SMTP_MAIL, "250 2.1.0 fine\r\n");
    }
    if (strncmp(line, "RCPT", 4) == 0) {
        keep(script, script->to, line);
        return answer(peer, script, SMTP_RCPT, "250 2.1.5 fine\r\n");
    }
    if (strcmp(line, "DATA") == 0) {
        return take_mail(peer, script);
    }
    if (strcmp(line, "QUIT") == 0) {
        atomic_fetch_add(&script->quits, 1);
        (void)answer(peer, script, SMTP_QUIT, "221 bye\r\n");
        return false;
    }
    script_say(peer, "502 5.5.1 what?\r\n");
    return true;
}

void smtp_script_serve(struct script_peer *peer, void *context)
{
    struct smtp_script *script = context;
    char line[2048];
    int mails = 0;
    bool goes_on = answer(peer, script, SMTP_GREETING, "220 test ESMTP\r\n");
    while (goes_on && script_line(peer, line, sizeof(line))) {
        mails += strncmp(line, "MAIL", 4) == 0;
        if (mails == 2 && script->goodbye == SMTP_LEAVES_AT_NEXT_MAIL) {
            goes_on = leave(peer);
        } else if (mails == 2 && script->goodbye == SMTP_LEAVES_SILENTLY_AT_NEXT_MAIL) {
            goes_on = false;
        } else {
            goes_on = obey(peer, script, line);
        }
    }
}
