/* SPDX-License-Identifier: Apache-2.0 */
/* Each message is one datagram of NAME=VALUE lines. The socket is connected once, while sockets may be
 * made: a connected one goes on working behind Landlock (which closes abstract names to those who are
 * not connected) and seccomp (sendto is on its list). A manager that does not read must not hold up the
 * sidecar, so a send waits a second at most; what is lost then, the manager's own time limits notice. */
#include "sidecar/notify.h"

#include "core/files.h"
#include "core/slice.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { SEND_LIMIT_S = 1, NS_PER_US = 1000, US_PER_MS = 1000 };

static wb_status connect_to(const char *address, wb_notify *out, wb_error *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(address);
    if (address[0] != '/' && address[0] != '@')
        return wb_fail(err, WB_ERR_MALFORMED, "neither a path nor an abstract name: %s", address);
    if (len >= sizeof to.sun_path)
        return wb_fail(err, WB_ERR_MALFORMED, "longer than %zu bytes", sizeof to.sun_path - 1);
    memcpy(to.sun_path, address, len);
    if (address[0] == '@') to.sun_path[0] = '\0';
    const struct timeval limit = {.tv_sec = SEND_LIMIT_S};
    out->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (out->fd >= 0 && setsockopt(out->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
        connect(out->fd, (const struct sockaddr *)&to,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
        return WB_OK;
    wb_status status = wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%s", address);
    wb_notify_close(out);
    return status;
}

wb_status wb_notify_open(const char *address, wb_notify *out, wb_error *err)
{
    out->fd = -1;
    if (!address || address[0] == '\0') return WB_OK;
    return connect_to(address, out, err);
}

static void say(const wb_notify *notify, const char *text)
{
    if (notify->fd >= 0) (void)send(notify->fd, text, strlen(text), MSG_NOSIGNAL);
}

void wb_notify_ready(const wb_notify *notify) { say(notify, "READY=1"); }

void wb_notify_reloading(const wb_notify *notify, const wb_clock *clock)
{
    char text[64];
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   wb_mono(clock) / NS_PER_US);
    say(notify, text);
}

void wb_notify_stopping(const wb_notify *notify, uint64_t within_ms)
{
    char text[64];
    (void)snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                   within_ms * US_PER_MS);
    say(notify, text);
}

void wb_notify_close(wb_notify *notify)
{
    wb_close_at(&notify->fd);
    notify->fd = -1;
}
