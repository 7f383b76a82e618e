/* Any --env-file: it must be taken or refused with a message, and never with a secret in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    char path[64];
    if (file < 0) {
        char empty[] = "/tmp/identihook-fuzz-XXXXXX";
        file = mkstemp(empty);
        (void)unlink(empty);
        (void)setenv("STRIPE_SECRET_KEY", "not-a-key-and-secret",
                     1); /* a fault in every run: its value must not be told */
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
        abort();
    }
    struct settings settings;
    struct buffer faults = {0};
    if (settings_load(&settings, SETTINGS_FOR_INGEST | SETTINGS_FOR_WORK, path, &faults) != 0 && faults.length == 0) {
        abort();
    }
    if (faults.data && strstr(faults.data, "not-a-key-and-secret")) {
        abort();
    }
    settings_free(&settings);
    buffer_free(&faults);
    return 0;
}
