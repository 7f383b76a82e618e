#include "redis_sentinel.h"

#include <errno.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "redis_command.h"

struct redis_sentinel {
    struct redis_sentinel_options options;
    struct redis_link *link;
    redisReader *reader;
    bool logs_in; /* the reply to AUTH is still to come */
};

static void fail(struct redis_sentinel *question, const char *why)
{
    question->options.answered(question->options.context, NULL, 0, why);
}

static bool has_login(const struct redis_url *url)
{
    return secret_is_set(&url->sentinel_password);
}

static void on_open(void *context)
{
    struct redis_sentinel *question = context;
    const struct redis_url *url = question->options.url;
    struct buffer bytes = {0};
    if (has_login(url)) {
        struct text password = secret_reveal(&url->sentinel_password);
        struct text words[] = {TEXT("AUTH"), url->sentinel_username ? text_of(url->sentinel_username) : password,
                               password};
        redis_command_begin(&bytes, url->sentinel_username ? 3 : 2);
        redis_command_append(&bytes, url->sentinel_username ? 3 : 2, words);
        question->logs_in = true;
    }
    struct text words[] = {TEXT("SENTINEL"), TEXT("get-master-addr-by-name"), text_of(url->master)};
    redis_command_begin(&bytes, ARRAY_LENGTH(words));
    redis_command_append(&bytes, ARRAY_LENGTH(words), words);
    int status = buffer_status(&bytes);
    status = status == 0 ? redis_link_write(question->link, buffer_text(&bytes), (struct text){0}) : status;
    buffer_wipe(&bytes);
    if (status < 0) {
        fail(question, "out of memory");
    }
}

/* { host, port }, or nil when it does not know that name. False when the answer was AUTH's and the next is awaited. */
static bool take_reply(struct redis_sentinel *question, const redisReply *reply)
{
    uint64_t port = 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        fail(question, reply->str);
    } else if (question->logs_in) {
        question->logs_in = false;
        return false;
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
               text_to_unsigned(text_of(reply->element[1]->str), UINT16_MAX, &port) < 0) {
        fail(question, "the sentinel knows no primary of that name");
    } else {
        question->options.answered(question->options.context, reply->element[0]->str, (uint16_t)port, NULL);
    }
    return true;
}

static void on_bytes(void *context, struct text bytes)
{
    struct redis_sentinel *question = context;
    bool ended = false;
    if (redisReaderFeed(question->reader, bytes.data, bytes.length) != REDIS_OK) {
        fail(question, "out of memory");
        return;
    }
    while (!ended) {
        void *reply = NULL;
        if (redisReaderGetReply(question->reader, &reply) != REDIS_OK) {
            fail(question, "it does not speak Redis's protocol");
            return;
        }
        if (!reply) {
            return;
        }
        ended = take_reply(question, reply); /* then the question may be gone */
        freeReplyObject(reply);
    }
}

static void on_lost(void *context, const char *why)
{
    fail(context, why);
}

int redis_sentinel_ask(uv_loop_t *loop, const struct redis_sentinel_options *options, struct redis_sentinel **asked)
{
    static const struct redis_link_handler handler = {.on_open = on_open, .on_bytes = on_bytes, .on_lost = on_lost};
    struct redis_sentinel *question = calloc(1, sizeof(*question));
    redisReader *reader = question ? redisReaderCreate() : NULL;
    if (!reader) {
        free(question);
        return -ENOMEM;
    }
    struct redis_link_options link_options = {
        .address = options->address,
        .tls = options->tls,
        .server_name = options->server_name,
        .handler = &handler,
        .context = question,
    };
    question->options = *options;
    question->reader = reader;
    int status = redis_link_open(loop, &link_options, &question->link);
    if (status < 0) {
        redisReaderFree(reader);
        free(question);
        return status;
    }
    *asked = question;
    return 0;
}

void redis_sentinel_end(struct redis_sentinel *question)
{
    if (question) {
        redis_link_close(question->link);
        redisReaderFree(question->reader);
        free(question);
    }
}
