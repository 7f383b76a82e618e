#include "base/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "dlsym() gives functions as pointers to data (POSIX)");

/* Also looks up what the library itself needs: better now than at the first call. */
static void *open_one_of(const char *const *files, struct buffer *fault)
{
    for (size_t i = 0; files[i]; i++) {
        void *handle = dlopen(files[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (handle) {
            return handle;
        }
        buffer_append_format(fault, "%s%s", i > 0 ? "; " : "", dlerror());
    }
    return NULL;
}

static const char *find_functions(const struct library *library, void *handle)
{
    char *slot = library->functions;
    for (size_t i = 0; i < library->symbol_count; i++, slot += sizeof(void *)) {
        void *function = dlsym(handle, library->symbols[i]);
        if (!function) {
            return library->symbols[i];
        }
        memcpy(slot, &function, sizeof(function));
    }
    return NULL;
}

int library_open(const struct library *library, struct buffer *fault)
{
    struct buffer reasons = {0};
    void *handle = open_one_of(library->files, &reasons);
    const char *absent = handle ? find_functions(library, handle) : NULL;
    if (!handle) {
        buffer_append_format(fault, "%s cannot be opened (%s): install %s", library->name,
                             reasons.data ? reasons.data : "out of memory", library->packages);
    } else if (absent) {
        buffer_append_format(fault, "%s is too old or too new (it has no %s): install %s", library->name, absent,
                             library->packages);
    }
    buffer_free(&reasons);
    return handle && !absent ? 0 : LIBRARY_MISSING;
}
