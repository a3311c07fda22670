/* SPDX-License-Identifier: Apache-2.0 */
/* The client half of what sidecar/receivers/ipc.c speaks, blocking and for one request: handshake, then
 * 01, a length of eight bytes, a request id of four with the high bit set, and the message. The whole
 * handshake even by who wants no more, since nng 1.5.2 takes one that leaves before its end badly. */
#include "cli/ask.h"

#include "core/ids.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { HANDSHAKE = 8, HEAD = 9, REQUEST_ID = 4 };
static const uint8_t our_handshake[HANDSHAKE] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
static const uint8_t its_handshake[HANDSHAKE] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
static const uint8_t request_id[REQUEST_ID] = {0x80, 0, 0, 1};

static wb_status send_all(int fd, const void *bytes, size_t len, wb_error *err)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const uint8_t *)bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return wb_fail(err, WB_ERR_TIMEOUT, "the sidecar takes nothing");
        if (n <= 0) return wb_fail(err, WB_ERR_UNAVAILABLE, "the sidecar closed the connection");
        sent += (size_t)n;
    }
    return WB_OK;
}

static wb_status receive_all(int fd, void *bytes, size_t len, wb_error *err)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, (uint8_t *)bytes + got, len - got, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return wb_fail(err, WB_ERR_TIMEOUT, "the sidecar does not answer");
        if (n <= 0) return wb_fail(err, WB_ERR_UNAVAILABLE, "the sidecar closed the connection");
        got += (size_t)n;
    }
    return WB_OK;
}

static wb_status shake_hands(int fd, wb_error *err)
{
    uint8_t answer[HANDSHAKE];
    WB_TRY(send_all(fd, our_handshake, sizeof our_handshake, err));
    WB_TRY(receive_all(fd, answer, sizeof answer, err));
    if (memcmp(answer, its_handshake, sizeof answer) == 0) return WB_OK;
    return wb_fail(err, WB_ERR_MALFORMED, "what listens on the socket is no sidecar");
}

wb_status wb_ask_open(const char *path, uint32_t timeout_ms, int *out, wb_error *err)
{
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000,
                                    .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return wb_fail(err, WB_ERR_CONFIG, "%.60s...: too long for a socket", path);
    memcpy(address.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout); /* else it waits on */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    wb_status status = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0
                           ? shake_hands(fd, err)
                           : wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    if (status == WB_OK)
        *out = fd;
    else
        (void)close(fd);
    return status;
}

static uint64_t read_u64(const uint8_t *b)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) n = n << 8 | b[i];
    return n;
}

static wb_status exchange(int fd, wb_slice request, wb_arena *arena, wb_slice *reply, wb_error *err)
{
    uint8_t head[HEAD + REQUEST_ID] = {1};
    uint64_t len = REQUEST_ID + request.len;
    for (int i = 0; i < 8; i++) head[1 + i] = (uint8_t)(len >> (56 - 8 * i));
    memcpy(head + HEAD, request_id, REQUEST_ID);
    WB_TRY(send_all(fd, head, sizeof head, err));
    WB_TRY(send_all(fd, request.ptr, request.len, err));
    WB_TRY(receive_all(fd, head, sizeof head, err));
    len = read_u64(head + 1);
    if (head[0] != 1 || len < REQUEST_ID || len > WB_ASK_MAX_BYTES ||
        memcmp(head + HEAD, request_id, REQUEST_ID) != 0)
        return wb_fail(err, WB_ERR_MALFORMED, "what listens on the socket is no sidecar");
    size_t body = (size_t)len - REQUEST_ID;
    uint8_t *bytes = wb_arena_alloc(arena, body + 1);
    if (!bytes) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory");
    WB_TRY(receive_all(fd, bytes, body, err));
    *reply = wb_slice_of(bytes, body);
    return WB_OK;
}

wb_status wb_ask(const char *path, Waybill__V1__Request *request, uint32_t timeout_ms,
                 wb_arena *arena, const Waybill__V1__Reply **out, wb_error *err)
{
    wb_id id = wb_id_new();
    wb_slice bytes = {NULL, 0};
    int fd = -1;
    request->id = (ProtobufCBinaryData){.len = sizeof id.b, .data = id.b};
    request->protocol = 1;
    uint8_t *packed = wb_arena_alloc(arena, waybill__v1__request__get_packed_size(request));
    if (!packed) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory");
    size_t len = waybill__v1__request__pack(request, packed);
    WB_TRY(wb_ask_open(path, timeout_ms, &fd, err));
    wb_status status = exchange(fd, wb_slice_of(packed, len), arena, &bytes, err);
    (void)close(fd);
    WB_TRY(status);
    const Waybill__V1__Reply *reply =
        waybill__v1__reply__unpack(wb_arena_allocator(arena), bytes.len, bytes.ptr);
    if (!reply) return wb_fail(err, WB_ERR_MALFORMED, "what answers is no sidecar");
    if (reply->status != WAYBILL__V1__STATUS__STATUS_OK)
        return wb_fail(err, (wb_status)reply->status, "%s", reply->detail);
    *out = reply;
    return WB_OK;
}
