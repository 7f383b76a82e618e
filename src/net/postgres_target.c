#include "postgres_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#define PASSWORD "password"

int postgres_target_parse(const struct secret *url, struct postgres_target *target)
{
    target->options = PQconninfoParse(secret_reveal(url).data, NULL);
    return target->options ? 0 : -EINVAL;
}

void postgres_target_free(struct postgres_target *target)
{
    for (PQconninfoOption *option = target->options; option && option->keyword; option++) {
        if (option->val) {
            OPENSSL_cleanse(option->val, strlen(option->val));
        }
    }
    if (target->options) {
        PQconninfoFree(target->options);
    }
    target->options = NULL;
}

const char *postgres_target_value(const struct postgres_target *target, const char *keyword)
{
    for (const PQconninfoOption *option = target->options; option->keyword; option++) {
        if (strcmp(option->keyword, keyword) == 0) {
            return option->val && option->val[0] != '\0' ? option->val : NULL;
        }
    }
    return NULL;
}

/* ---- hosts */

bool postgres_target_is_name(struct text host)
{
    char copy[INET6_ADDRSTRLEN + 1];
    unsigned char address[sizeof(struct in6_addr)];
    if (host.length == 0 || host.data[0] == '/' || host.data[0] == '@') {
        return false;
    }
    if (host.length >= sizeof(copy)) {
        return true;
    }
    memcpy(copy, host.data, host.length);
    copy[host.length] = '\0';
    return inet_pton(AF_INET, copy, address) != 1 && inet_pton(AF_INET6, copy, address) != 1;
}

bool postgres_target_needs_lookup(const struct postgres_target *target)
{
    struct text rest = text_of(postgres_target_value(target, "host"));
    bool needs = false;
    while (rest.data && !needs) {
        needs = postgres_target_is_name(text_cut(&rest, ','));
    }
    return needs && !postgres_target_value(target, "hostaddr");
}

void postgres_places_add(struct postgres_places *places, struct text host, struct text address, struct text port)
{
    struct buffer *lists[] = {&places->hosts, &places->addresses, &places->ports};
    const struct text items[] = {host, address, port};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        if (places->count > 0) {
            buffer_append_byte(lists[i], ',');
        }
        buffer_append(lists[i], items[i]);
    }
    places->count++;
}

void postgres_places_clear(struct postgres_places *places)
{
    buffer_free(&places->hosts);
    buffer_free(&places->addresses);
    buffer_free(&places->ports);
    places->count = 0;
}

/* ---- connecting */

struct parameters {
    const char *keywords[POSTGRES_PARAMETERS_MAXIMUM + 1];
    const char *values[POSTGRES_PARAMETERS_MAXIMUM + 1];
    size_t count;
};

/* Of two values for one keyword libpq takes the last. */
static void set(struct parameters *parameters, const char *keyword, const char *value)
{
    if (value && parameters->count < POSTGRES_PARAMETERS_MAXIMUM) {
        parameters->keywords[parameters->count] = keyword;
        parameters->values[parameters->count++] = value;
    }
}

static void set_default(struct parameters *parameters, const struct postgres_target *target, const char *keyword,
                        const char *value)
{
    if (!postgres_target_value(target, keyword)) {
        set(parameters, keyword, value);
    }
}

PGconn *postgres_target_connect(const struct postgres_target *target, const struct postgres_places *places)
{
    const char *sslmode = postgres_target_value(target, "sslmode");
    struct parameters parameters = {.count = 0};
    for (const PQconninfoOption *option = target->options; option->keyword; option++) {
        set(&parameters, option->keyword, option->val);
    }
    set_default(&parameters, target, "application_name", "identihook");
    set_default(&parameters, target, "gssencmode", "disable"); /* Kerberos asks its own servers, and blocks */
    set_default(&parameters, target, "tcp_user_timeout", target->tcp_user_timeout);
    if (sslmode && strncmp(sslmode, "verify-", 7) == 0) {
        set_default(&parameters, target, "sslrootcert", target->ca_file);
    }
    set(&parameters, "client_encoding", "UTF8");
    if (places->count > 0) {
        set(&parameters, "host", places->hosts.data);
        set(&parameters, "hostaddr", places->addresses.data);
        set(&parameters, "port", places->ports.data);
    }
    return PQconnectStartParams(parameters.keywords, parameters.values, 0);
}

void postgres_target_message(const struct postgres_target *target, PGconn *connection, char text[300])
{
    const char *password = postgres_target_value(target, PASSWORD);
    const char *message = PQerrorMessage(connection);
    size_t length = 0;
    bool blank = true; /* none at the beginning, and one for many */
    for (; *message && length < 296; message++) {
        bool is_blank = *message == ' ' || *message == '\n' || *message == '\t' || *message == '\r';
        if (!is_blank) {
            text[length++] = *message;
        } else if (!blank) {
            text[length++] = ' ';
        }
        blank = is_blank;
    }
    text[length - (length > 0 && text[length - 1] == ' ')] = '\0';
    if (length == 0 || (password && strstr(PQerrorMessage(connection), password))) {
        (void)snprintf(text, 300, "the connection failed");
    }
}
