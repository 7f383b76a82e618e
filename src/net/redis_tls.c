#include "redis_tls.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"

/* The last one that was made; a process talks to one Redis. */
static struct {
    pthread_mutex_t mutex;
    struct buffer key;
    struct tls_context *context;
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* What the files are, and when they were changed. */
static void append_file(struct buffer *key, const char *path)
{
    struct stat status;
    if (path && stat(path, &status) == 0) {
        buffer_append_format(key, "%s\n%jd.%ld %jd\n", path, (intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                             (intmax_t)status.st_ino);
    } else {
        buffer_append_format(key, "%s\n-\n", path ? path : "");
    }
}

static int make(const struct redis_url *url, struct buffer *key, char error[256])
{
    struct tls_client_options options = {.ca = url->ca, .certificate = url->certificate, .key = url->key};
    struct tls_context *context;
    int status = tls_context_create_client(&options, &context, error);
    if (status < 0) {
        return status;
    }
    tls_context_release(shared.context);
    buffer_free(&shared.key);
    shared.context = context;
    shared.key = *key;
    *key = (struct buffer){0};
    return 0;
}

int redis_tls_acquire(const struct redis_url *url, struct tls_context **context, char error[256])
{
    struct buffer key = {0};
    append_file(&key, url->ca);
    append_file(&key, url->certificate);
    append_file(&key, url->key);
    int status = buffer_status(&key);
    (void)pthread_mutex_lock(&shared.mutex);
    if (status == 0 && (!shared.context || !text_equal(buffer_text(&key), buffer_text(&shared.key)))) {
        status = make(url, &key, error);
    }
    if (status == 0) {
        *context = tls_context_hold(shared.context);
    }
    (void)pthread_mutex_unlock(&shared.mutex);
    buffer_free(&key);
    return status;
}
