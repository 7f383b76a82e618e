#include <stdio.h>

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <uv.h>

#include "base/version.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "net/curl_library.h"
#include "net/postgres_library.h"

static void print_curl(void)
{
    struct buffer fault = {0};
    if (curl_library_open(&fault) == 0) {
        printf("libcurl %s\n", curl_library_version());
        curl_library_close();
    } else {
        printf("%s\n", fault.data ? fault.data : "libcurl: out of memory");
    }
    buffer_free(&fault);
}

static void print_postgres(void)
{
    struct buffer fault = {0};
    if (postgres_library_open(&fault) == 0) {
        printf("libpq %d.%d\n", postgres_library_version() / 10000, postgres_library_version() % 10000);
    } else {
        printf("%s (only DATABASE_URL needs it)\n", fault.data ? fault.data : "libpq: out of memory");
    }
    buffer_free(&fault);
}

int version_run(int argc, char **argv)
{
    struct argument options[] = {{.name = NULL}};
    struct arguments arguments = {
        .usage = "identihook version",
        .description = "Prints the versions of identihook and of the libraries that it runs with.",
        .options = options,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    printf("identihook %s\n", version_text());
    printf("libuv %s\n", uv_version_string());
    printf("llhttp %d.%d.%d\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
    print_curl();
    print_postgres();
    printf("hiredis %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    printf("jansson %s\n", jansson_version_str());
    printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    return COMMAND_DONE;
}
