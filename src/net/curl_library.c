#include "net/curl_library.h"

#include "curl_functions.h"

#define OLDEST 0x075800 /* 7.88.0, Debian 12's: what CMakeLists.txt asks for when building */
#define OLDEST_TEXT "7.88"
#define PACKAGES "libcurl4 (Debian 12) or libcurl4t64 (Debian 13)"

struct curl_functions curl_functions;

static const struct library library = {
    .name = "libcurl",
    .files = (const char *const[]){"libcurl.so.4", NULL},
    .packages = PACKAGES,
    LIBRARY_TABLE(CURL_FUNCTIONS, curl_functions),
};

int curl_library_open(struct buffer *fault)
{
    int status = library_open(&library, fault);
    if (status != 0) {
        return status;
    }
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if (version->version_num < OLDEST) {
        buffer_append_format(fault, "libcurl %s is too old, " OLDEST_TEXT " is needed: install " PACKAGES,
                             version->version);
        return LIBRARY_MISSING;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        buffer_append_format(fault, "libcurl %s fails to initialise its TLS library", version->version);
        return LIBRARY_MISSING;
    }
    return 0;
}

void curl_library_close(void)
{
    curl_global_cleanup();
}

const char *curl_library_version(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}
