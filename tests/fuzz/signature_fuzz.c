/*
 * Any header and body. What verifies must have been signed: the fuzzer does not have the key, except in the header that
 * is made here, which must verify whatever the body is.
 */
#include <stdlib.h>
#include <string.h>

#include "stripe/signature.h"
#include "stripe/signature_help.h"

#define NOW 1793268500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct signature_keys *keys;
    struct text secrets[] = {TEXT("whsec_one"), TEXT("whsec_two")};
    if (!keys && signature_keys_create(secrets, 2, &keys) < 0) {
        abort();
    }
    size_t cut = size > 0 ? data[0] * size / 256 : 0;
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    struct text header = {.data = copy, .length = cut};
    struct text body = {.data = copy + cut, .length = size - cut};
    struct signature_result result;
    struct signature_help help;
    if (signature_verify(keys, header, body, NOW, 300, &result) == SIGNATURE_VALID) {
        abort();
    }
    signature_explain(keys, header, body, &result, 300, &help);

    struct buffer good = {0};
    signature_sign(keys, 1, NOW, body, &good);
    if (signature_verify(keys, buffer_text(&good), body, NOW, 300, &result) != SIGNATURE_VALID || result.key != 1) {
        abort();
    }
    buffer_free(&good);
    free(copy);
    return 0;
}
