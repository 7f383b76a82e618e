#pragma once

#include <stdint.h>

#include "base/attributes.h"
#include "base/buffer.h"

/*
 * What a service manager passes at the start, and what it wants to be told: the protocols of systemd, which others
 * speak too (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)). Without a service manager nothing is passed, and
 * telling does nothing.
 *
 * Sockets: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. The names `webhook` and `admin` choose the listener; without names
 * the first socket is the webhook listener's and the second one the admin listener's. A unit's own name, which systemd
 * gives to sockets without FileDescriptorName=, is as good as none when it is the only one; among several it would tell
 * nothing, and the wrong one would be open to the world.
 *
 * Notification: NOTIFY_SOCKET, a path or, with @ in front, an abstract name; WATCHDOG_USEC, WATCHDOG_PID.
 */
struct service_manager;

enum inherited_socket { INHERITED_WEBHOOK, INHERITED_ADMIN, INHERITED_SOCKETS };

#define SERVICE_MANAGER_FAULTY 1

/*
 * Takes what was passed, before any thread starts: the variables go, so that no child takes them for its own, and the
 * sockets become non-blocking and stay in this process. Sockets that were passed to another process are left alone.
 *
 * 0; SERVICE_MANAGER_FAULTY: `faults` got a line that says what was passed and what to do; or -ENOMEM. *opened is to be
 * closed in every case.
 */
MUST_CHECK int service_manager_open(struct service_manager **opened, struct buffer *faults);

/* Closes our descriptors; the sockets stay open in the service manager. NULL is fine. */
void service_manager_close(struct service_manager *manager);

/* The listening TCP socket that was passed, which stays the manager's: to be duplicated. -1: none. */
int service_manager_socket(const struct service_manager *manager, enum inherited_socket which);

/* Closes it: this process has no use for it. */
void service_manager_drop(struct service_manager *manager, enum inherited_socket which);

/* How often it wants to be told WATCHDOG=1: half of the time after which it loses patience. 0: never. */
uint64_t service_manager_watchdog_ms(const struct service_manager *manager);

/*
 * Tells it NAME=VALUE lines, in one datagram of less than 512 bytes. A manager that is behind is waited for, a quarter
 * of a second at most and not again before it has caught up; what it does not take then is lost, and the first such
 * failure is logged.
 */
void service_manager_tell(struct service_manager *manager, const char *format, ...) PRINTF_LIKE(2, 3);
