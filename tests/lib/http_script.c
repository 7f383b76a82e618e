#include "http_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_headers(struct script_peer *peer, struct http_script_request *request)
{
    char line[1024];
    size_t used = 0;
    while (script_line(peer, line, sizeof(line))) {
        if (line[0] == '\0') {
            return true;
        }
        int added = snprintf(request->headers + used, sizeof(request->headers) - used, "%s\n", line);
        used += (size_t)added < sizeof(request->headers) - used ? (size_t)added : 0;
    }
    return false;
}

bool http_script_read(struct script_peer *peer, struct http_script_request *request)
{
    char length[32];
    memset(request, 0, sizeof(*request));
    if (!script_line(peer, request->line, sizeof(request->line)) || !read_headers(peer, request)) {
        return false;
    }
    http_script_header(request, "Content-Length", length, sizeof(length));
    size_t count = strtoul(length, NULL, 10);
    return count < sizeof(request->body) && script_bytes(peer, request->body, count);
}

void http_script_header(const struct http_script_request *request, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    value[0] = '\0';
    for (const char *line = request->headers; line && *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0) {
            const char *start = line + length + 2;
            snprintf(value, size, "%.*s", (int)(strchr(start, '\n') - start), start);
            return;
        }
    }
}
