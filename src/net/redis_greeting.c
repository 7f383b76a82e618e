#include "redis_greeting.h"

#include <stdio.h>

#include <hiredis/hiredis.h>

#include "base/log.h"

/* ---- replies */

static void end(struct redis_greeting *greeting, enum redis_trouble trouble, const char *why)
{
    greeting->under_way = false;
    greeting->on_end(greeting->context, trouble, why);
}

static void refuse(struct redis_greeting *greeting, const char *error)
{
    static struct log_limit limit;
    uint64_t suppressed;
    enum redis_trouble trouble = redis_trouble_of(text_of(error));
    trouble = trouble == REDIS_FINE ? REDIS_UNSUITABLE : trouble;
    if (trouble != REDIS_MOVED && log_limit_pass(&limit, 10000, &suppressed)) {
        log_error("redis refused the greeting", LOG_STRING("connection", greeting->options->name),
                  LOG_STRING("error", error), LOG_STRING("fix", redis_trouble_advice(trouble)),
                  LOG_NUMBER("suppressed", suppressed));
    }
    end(greeting, trouble, error);
}

/* All has been answered: is it the server that is wanted? */
static void judge(struct redis_greeting *greeting)
{
    const struct redis_options *options = greeting->options;
    char why[REDIS_WHY_SIZE] = "";
    if (greeting->facts.replica == REDIS_YES) { /* the sentinels, or the name, have not followed yet */
        end(greeting, REDIS_READONLY, "it is a replica");
        return;
    }
    enum redis_trouble trouble = options->admit ? options->admit(options->context, &greeting->facts, why) : REDIS_FINE;
    end(greeting, trouble, why);
}

/* One reply. True when it is no error; one that does not matter, because the user lacks a permission, the command is
 * not known, or the key has gone ahead to where the slot is moving, is passed over. */
static bool take(struct redis_greeting *greeting, const redisReply *reply, bool matters)
{
    if (!reply || !greeting->under_way) {
        return false; /* lost */
    }
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    enum redis_trouble trouble = is_error ? redis_trouble_of(text_of(reply->str)) : REDIS_FINE;
    bool is_minor = trouble == REDIS_FINE || trouble == REDIS_NOPERM || trouble == REDIS_SLOT_MIGRATES;
    if (is_error && (matters || !is_minor)) {
        refuse(greeting, reply->str);
        return false;
    }
    greeting->awaited--;
    return !is_error;
}

static void end_if_answered(struct redis_greeting *greeting)
{
    if (greeting->under_way && greeting->awaited == 0) {
        judge(greeting);
    }
}

static void on_command(struct redis_call *call, const redisReply *reply)
{
    struct redis_greeting *greeting = CONTAINER_OF(call, struct redis_greeting, command);
    (void)take(greeting, reply, true);
    end_if_answered(greeting);
}

static void on_info(struct redis_call *call, const redisReply *reply)
{
    struct redis_greeting *greeting = CONTAINER_OF(call, struct redis_greeting, info);
    if (take(greeting, reply, false) && reply->type == REDIS_REPLY_STRING) {
        redis_facts_read_info(&greeting->facts, (struct text){.data = reply->str, .length = (size_t)reply->len});
    }
    end_if_answered(greeting);
}

static void on_config(struct redis_call *call, const redisReply *reply)
{
    struct redis_greeting *greeting = CONTAINER_OF(call, struct redis_greeting, config);
    if (take(greeting, reply, false) && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        redis_facts_read_config(&greeting->facts, text_of(reply->element[0]->str), text_of(reply->element[1]->str));
    }
    end_if_answered(greeting);
}

static void on_slot(struct redis_call *call, const redisReply *reply)
{
    struct redis_greeting *greeting = CONTAINER_OF(call, struct redis_greeting, slot);
    (void)take(greeting, reply, false);
    end_if_answered(greeting);
}

/* { { first, last, { host, port, … } … } … }: only the servers matter. */
static void on_nodes(struct redis_call *call, const redisReply *reply)
{
    struct redis_greeting *greeting = CONTAINER_OF(call, struct redis_greeting, nodes);
    bool answered = take(greeting, reply, false) && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; answered && i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        for (size_t j = 2; j < range->elements; j++) {
            const redisReply *node = range->element[j];
            if (node->elements >= 2 && node->element[0]->str) {
                redis_route_learn(greeting->route, text_of(node->element[0]->str), (uint16_t)node->element[1]->integer);
            }
        }
    }
    end_if_answered(greeting);
}

static void on_name(struct redis_call *call, const redisReply *reply)
{
    struct redis_greeting *greeting = CONTAINER_OF(call, struct redis_greeting, name);
    (void)take(greeting, reply, false);
    end_if_answered(greeting);
}

/* ---- what is said */

static int say(struct redis_greeting *greeting, struct redis_call *call, size_t count, const struct text *words)
{
    greeting->awaited++;
    return redis_pipeline_command(greeting->pipeline, call, count, words);
}

static int say_login(struct redis_greeting *greeting)
{
    const struct redis_url *url = greeting->options->url;
    int status = 0;
    if (secret_is_set(&url->password)) {
        struct text words[3] = {TEXT("AUTH"), text_of(url->username), secret_reveal(&url->password)};
        if (!url->username) {
            words[1] = words[2];
        }
        status = say(greeting, &greeting->command, url->username ? 3 : 2, words);
    }
    if (status == 0 && url->database != 0) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", url->database);
        status = say(greeting, &greeting->command, 2, (struct text[]){TEXT("SELECT"), text_of(number)});
    }
    return status;
}

/* Whether it is a primary, and what else whoever admits it wants to know. */
static int ask_facts(struct redis_greeting *greeting)
{
    bool admits = greeting->options->admit != NULL;
    struct text info[] = {TEXT("INFO"), TEXT("replication")};
    struct text config[] = {TEXT("CONFIG"), TEXT("GET"), TEXT("appendfsync")};
    int status = say(greeting, &greeting->info, admits ? 1 : 2, info);
    return status == 0 && admits ? say(greeting, &greeting->config, 3, config) : status;
}

/* A node of a cluster that does not serve our keys says here who does. */
static int ask_cluster(struct redis_greeting *greeting)
{
    const char *key = greeting->options->key;
    int status = key ? say(greeting, &greeting->slot, 2, (struct text[]){TEXT("EXISTS"), text_of(key)}) : 0;
    if (status == 0 && greeting->options->url->kind == REDIS_CLUSTER) {
        status = say(greeting, &greeting->nodes, 2, (struct text[]){TEXT("CLUSTER"), TEXT("SLOTS")});
    }
    return status;
}

static int load_scripts(struct redis_greeting *greeting)
{
    const struct redis_script *const *scripts = greeting->options->scripts;
    int status = 0;
    for (size_t i = 0; status == 0 && scripts && scripts[i]; i++) {
        struct text words[] = {TEXT("SCRIPT"), TEXT("LOAD"), text_of(scripts[i]->source)};
        status = say(greeting, &greeting->command, ARRAY_LENGTH(words), words);
    }
    return status;
}

static int say_name(struct redis_greeting *greeting)
{
    struct text words[] = {TEXT("CLIENT"), TEXT("SETNAME"), text_of(greeting->options->name)};
    return say(greeting, &greeting->name, ARRAY_LENGTH(words), words);
}

int redis_greeting_begin(struct redis_greeting *greeting)
{
    greeting->under_way = true;
    greeting->awaited = 0;
    greeting->facts = (struct redis_facts){0};
    greeting->command.callback = on_command;
    greeting->info.callback = on_info;
    greeting->config.callback = on_config;
    greeting->slot.callback = on_slot;
    greeting->nodes.callback = on_nodes;
    greeting->name.callback = on_name;
    int status = say_login(greeting);
    status = status == 0 ? ask_facts(greeting) : status;
    status = status == 0 ? ask_cluster(greeting) : status;
    status = status == 0 ? load_scripts(greeting) : status;
    return status == 0 ? say_name(greeting) : status;
}

void redis_greeting_abandon(struct redis_greeting *greeting)
{
    greeting->under_way = false;
}
