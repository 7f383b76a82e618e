#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"
#include "store/queue.h"

/*
 * What is known of a user who was given a verification session here: which session it is and how it stands. It is
 * found by a hash of the user's id, and holds nothing personal: Stripe's ids, statuses, codes, counts and times.
 *
 *   session, status, reason  the session, Stripe's word for its state, and last_error.code or ""
 *   at                       when that was so (ms)
 *   event                    the event by which it was learnt, or ""
 *   since, sessions, failures  the window of attempts: its begin (ms), and what was counted in it
 *   key, until               while a session is being created: the idempotency key, and until when (ms) that is
 *                            left to whoever does it. The key stays when nobody knows what came of it
 */
#define USER_HASH_SIZE 33

/* The user's name in Redis: 32 hexadecimal digits and a NUL. */
void user_hash(struct text user, char hash[USER_HASH_SIZE]);

#define USER_KEY_SIZE 48
#define USER_SESSION_SIZE 256
#define USER_WORD_SIZE 64

enum user_admission {
    USER_UNKNOWN,   /* Redis gave no answer */
    USER_OPEN,      /* has a session that may go on: `session` */
    USER_CREATES,   /* has none: the caller creates it, with the idempotency key `key` */
    USER_BUSY,      /* one is being created by somebody else: ask again soon */
    USER_VERIFIED,  /* is verified */
    USER_EXHAUSTED, /* has had all attempts: `wait_ms` until there are new ones */
};

struct user_record {
    char session[USER_SESSION_SIZE]; /* "": there never was one */
    char status[USER_WORD_SIZE];
    char reason[USER_WORD_SIZE];
    int64_t at_ms;
    unsigned attempts; /* failures in the window, or sessions, whichever are more */
    int64_t since_ms;  /* when the window began */
};

/* One operation; embedded by the caller, and left in place until its callback has run. One at a time. */
struct user_call {
    struct redis_call call;
    void (*callback)(struct user_call *call, bool answered); /* false: Redis gave no answer */
    enum user_admission admission;                           /* of user_admit() */
    bool reused_key;                                         /* CREATES: somebody has tried before with this key */
    char session[USER_SESSION_SIZE];
    char key[USER_KEY_SIZE];
    int64_t wait_ms;
    struct user_record record; /* of user_read() */
};

struct user_limits {
    uint64_t attempts;
    uint64_t window_ms;
    uint64_t claim_ms;  /* how long a session's creation is left to one caller */
    uint64_t record_ms; /* how long a record is kept after its last change */
};

/* How a session stands. */
struct user_state {
    struct text session;
    const char *status;
    const char *reason; /* "" for none */
    struct text event;  /* by which it was learnt; empty: by looking */
    int64_t at_ms;
};

/* Each returns 0: the callback will run once, later; or -ENOTCONN, -ENOBUFS, -ENOMEM: then it will not. `hash` is
 * user_hash()'s. */
MUST_CHECK int user_admit(struct queue *queue, struct user_call *call, const char *hash,
                          const struct user_limits *limits);

/* A session was created: it is the user's from now on, and the claim on creating it ends. */
MUST_CHECK int user_enrol(struct queue *queue, struct user_call *call, const char *hash, const char *session,
                          const struct user_limits *limits);

/* None was created: the claim ends; `keep_key` when it is not known whether there is one after all. */
MUST_CHECK int user_release(struct queue *queue, struct user_call *call, const char *hash, bool keep_key);

/*
 * Notes how the user's session stands; nothing happens when it is not this session that the user has. What is older
 * than what is noted already, or was noted by the same event before, is left out; verified stays. A failed check that
 * an event tells of counts as an attempt.
 */
MUST_CHECK int user_note(struct queue *queue, struct user_call *call, const char *hash, const struct user_state *state,
                         uint64_t record_ms);

MUST_CHECK int user_read(struct queue *queue, struct user_call *call, const char *hash);
