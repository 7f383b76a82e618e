#pragma once

#include <curl/curl.h>

#include "base/library.h"

/*
 * libcurl's functions, called through the table that curl_library_open() fills.
 *
 * The header's own checks of option types work on direct calls only. The tests' build compiles what includes this a
 * second time with CURL_CALLS_DIRECT, for the sake of these checks.
 */
#define CURL_FUNCTIONS(X)                                                                                              \
    X(curl_easy_cleanup)                                                                                               \
    X(curl_easy_getinfo)                                                                                               \
    X(curl_easy_init)                                                                                                  \
    X(curl_easy_perform)                                                                                               \
    X(curl_easy_reset)                                                                                                 \
    X(curl_easy_setopt)                                                                                                \
    X(curl_easy_strerror)                                                                                              \
    X(curl_free)                                                                                                       \
    X(curl_global_cleanup)                                                                                             \
    X(curl_global_init)                                                                                                \
    X(curl_multi_add_handle)                                                                                           \
    X(curl_multi_assign)                                                                                               \
    X(curl_multi_cleanup)                                                                                              \
    X(curl_multi_info_read)                                                                                            \
    X(curl_multi_init)                                                                                                 \
    X(curl_multi_remove_handle)                                                                                        \
    X(curl_multi_setopt)                                                                                               \
    X(curl_multi_socket_action)                                                                                        \
    X(curl_multi_strerror)                                                                                             \
    X(curl_slist_append)                                                                                               \
    X(curl_slist_free_all)                                                                                             \
    X(curl_url)                                                                                                        \
    X(curl_url_cleanup)                                                                                                \
    X(curl_url_get)                                                                                                    \
    X(curl_url_set)                                                                                                    \
    X(curl_version_info)

struct curl_functions {
    CURL_FUNCTIONS(LIBRARY_POINTER)
};

extern struct curl_functions curl_functions;

#ifndef CURL_CALLS_DIRECT
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#define curl_easy_cleanup curl_functions.curl_easy_cleanup
#define curl_easy_getinfo curl_functions.curl_easy_getinfo
#define curl_easy_init curl_functions.curl_easy_init
#define curl_easy_perform curl_functions.curl_easy_perform
#define curl_easy_reset curl_functions.curl_easy_reset
#define curl_easy_setopt curl_functions.curl_easy_setopt
#define curl_easy_strerror curl_functions.curl_easy_strerror
#define curl_free curl_functions.curl_free
#define curl_global_cleanup curl_functions.curl_global_cleanup
#define curl_global_init curl_functions.curl_global_init
#define curl_multi_add_handle curl_functions.curl_multi_add_handle
#define curl_multi_assign curl_functions.curl_multi_assign
#define curl_multi_cleanup curl_functions.curl_multi_cleanup
#define curl_multi_info_read curl_functions.curl_multi_info_read
#define curl_multi_init curl_functions.curl_multi_init
#define curl_multi_remove_handle curl_functions.curl_multi_remove_handle
#define curl_multi_setopt curl_functions.curl_multi_setopt
#define curl_multi_socket_action curl_functions.curl_multi_socket_action
#define curl_multi_strerror curl_functions.curl_multi_strerror
#define curl_slist_append curl_functions.curl_slist_append
#define curl_slist_free_all curl_functions.curl_slist_free_all
#define curl_url curl_functions.curl_url
#define curl_url_cleanup curl_functions.curl_url_cleanup
#define curl_url_get curl_functions.curl_url_get
#define curl_url_set curl_functions.curl_url_set
#define curl_version_info curl_functions.curl_version_info
#endif
