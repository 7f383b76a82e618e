/*
 * Any bytes, cut in any way: the parser must not read or write where it may not, must come to the same verdict however
 * the bytes are cut, and must not hold more than its limits allow. The first byte says how long the pieces are.
 */
#include <stdlib.h>
#include <string.h>

#include "net/http.h"

static const struct http_limits limits = {.header_bytes = 2048, .headers = 32, .url = 512, .body = 1024};

struct verdict {
    enum http_progress progress;
    int status;
    bool keep_alive;
    size_t body;
};

static struct verdict parse(const char *data, size_t length, size_t piece)
{
    struct verdict verdict = {.progress = HTTP_MORE};
    struct http_request request = {0};
    llhttp_t parser;
    http_request_reset(&request);
    http_parser_init(&parser, &request, &limits);
    for (size_t at = 0; at < length && verdict.progress == HTTP_MORE;) {
        size_t now = length - at < piece ? length - at : piece;
        char *exact = malloc(now);
        size_t consumed;
        memcpy(exact, data + at, now);
        verdict.progress = http_feed(&parser, &request, exact, now, &consumed);
        if (consumed > now || request.body.length > limits.body || request.head.length > limits.header_bytes) {
            abort();
        }
        if (verdict.progress == HTTP_COMPLETE) {
            verdict.keep_alive = request.keep_alive;
            verdict.body = request.body.length;
            (void)http_request_header(&request, TEXT("stripe-signature"));
        }
        at += consumed;
        free(exact);
    }
    verdict.status = verdict.progress == HTTP_FAULTY ? request.fault->status : 0;
    http_request_free(&request);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    struct verdict whole = parse(bytes, size - 1, SIZE_MAX);
    struct verdict cut = parse(bytes, size - 1, (size_t)data[0] % 16 + 1);
    /* Which fault is found first may depend on the cut; whether there is one may not. */
    if (whole.progress != cut.progress || whole.keep_alive != cut.keep_alive || whole.body != cut.body) {
        abort();
    }
    return 0;
}
