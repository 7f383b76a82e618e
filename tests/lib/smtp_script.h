#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "script_server.h"

/* Where in the dialogue something happens. */
enum smtp_step {
    SMTP_NOWHERE,
    SMTP_GREETING,
    SMTP_EHLO,
    SMTP_AUTH,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_CONTENT, /* "354" was said; the mail has not come yet */
    SMTP_FINAL,   /* the whole mail has come */
    SMTP_QUIT,
};

/* How a server ends a connection on which it took a mail. */
enum smtp_goodbye { SMTP_STAYS, SMTP_LEAVES_AT_ONCE, SMTP_LEAVES_AT_NEXT_MAIL, SMTP_LEAVES_SILENTLY_AT_NEXT_MAIL };

/* What an SMTP server does, and what it saw. Zeros: it takes every mail. What it saw is read when it has been stopped,
 * or when the mail's result is there. */
struct smtp_script {
    const char *reply;               /* with its \r\n: said instead of what is usual */
    _Atomic enum smtp_step reply_at; /* at this step; may change between mails */
    enum smtp_step close_at;         /* closes there without a word */
    enum smtp_step stall_at;         /* says nothing any more there, until the client goes */
    enum smtp_step pause_at;         /* waits `pause_ms` there, then goes on */
    int pause_ms;
    bool offers_tls;
    bool offers_login;
    bool offers_utf8;
    enum smtp_goodbye goodbye;

    atomic_int mails; /* taken */
    atomic_int tls_started;
    atomic_int quits;
    char from[300]; /* of the last mail */
    char to[300];
    char login[300];
    char message[8192]; /* as it came, dots unstuffed, lines end in \n */
    pthread_mutex_t lock;
};

/* The script for script_server_start(), with a struct smtp_script as its context. */
void smtp_script_serve(struct script_peer *peer, void *context);
