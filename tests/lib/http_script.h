#pragma once

#include "script_server.h"

/* The HTTP side of scripts: reading requests. Answers are written as plain text with script_say(). */
struct http_script_request {
    char line[512];     /* "GET /path HTTP/1.1" */
    char headers[4096]; /* "Name: value\n" each, as they came */
    char body[4096];
};

/* False when the client has gone. */
bool http_script_read(struct script_peer *peer, struct http_script_request *request);

/* The value of a header, written to `value`; "" when it is absent. `name` as it was sent. */
void http_script_header(const struct http_script_request *request, const char *name, char *value, size_t size);
