#pragma once

/*
 * Return codes, everywhere in identihook:
 *   0         done
 *   negative  the machine failed (-errno, or libuv's UV_E*, which are the same numbers): pass it on unchanged; it is
 *             logged once, where it was detected
 *   positive  an outcome that the function's header documents: its direct caller handles it and never passes it on
 */
#define MUST_CHECK __attribute__((warn_unused_result))

#define PRINTF_LIKE(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The object of type `type` whose member `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
