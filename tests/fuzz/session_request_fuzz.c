/* Any body of a request for a session: it is taken whole or not at all. The first byte chooses its Content-Type. */
#include <stdlib.h>
#include <string.h>

#include "core/session_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/json", "application/x-www-form-urlencoded", "text/plain", ""};
    struct session_request request;
    if (size == 0) {
        return 0;
    }
    struct text body = {.data = (const char *)data + 1, .length = size - 1};
    int status = session_request_parse(text_of(types[data[0] % 4]), body, &request);
    if (status != 0 && request.token) {
        abort(); /* nobody would free it */
    }
    if (status == 0 &&
        ((request.named && request.integration >= INTEGRATIONS) || (request.token && !request.is_form))) {
        abort();
    }
    session_request_clear(&request);
    return 0;
}
