/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough HTTP/1.1 to ask our own daemon: one request, "Connection: close", no redirects, no TLS,
 * no chunks (the daemon always sends Content-Length). A library would bring a proxy from the
 * environment and more code than all of this program. Source: RFC 9112. */
#include "cli/http_get.h"

#include "core/buffer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The next line without its CRLF; false at the end. */
static bool next_line(wb_slice *rest, wb_slice *line)
{
    const uint8_t *end = rest->len ? memmem(rest->ptr, rest->len, "\r\n", 2) : NULL;
    if (!end) return false;
    *line = (wb_slice){rest->ptr, (size_t)(end - rest->ptr)};
    *rest = (wb_slice){end + 2, rest->len - line->len - 2};
    return true;
}

/* RFC 9112 section 4: "HTTP/1.1 200 OK" */
static bool parse_status_line(wb_slice line, int *code)
{
    if (line.len < 12 || !wb_slice_starts(line, WB_S("HTTP/1.")) || line.ptr[8] != ' ')
        return false;
    int value = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9') return false;
        value = value * 10 + (line.ptr[i] - '0');
    }
    if (line.len > 12 && line.ptr[12] != ' ') return false;
    *code = value;
    return value >= 100;
}

static bool header_is(wb_slice line, const char *name, wb_slice *value)
{
    size_t len = strlen(name);
    if (line.len <= len || line.ptr[len] != ':' ||
        strncasecmp((const char *)line.ptr, name, len) != 0)
        return false;
    *value = (wb_slice){line.ptr + len + 1, line.len - len - 1};
    while (value->len > 0 && (value->ptr[0] == ' ' || value->ptr[0] == '\t'))
        *value = (wb_slice){value->ptr + 1, value->len - 1};
    return true;
}

static bool parse_length(wb_slice text, size_t *out)
{
    size_t n = 0;
    if (text.len == 0 || text.len > 7) return false; /* WB_HTTP_MAX_BYTES has 7 digits */
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        n = n * 10 + (size_t)(text.ptr[i] - '0');
    }
    *out = n;
    return true;
}

wb_status wb_http_parse(wb_slice answer, int *code, wb_slice *body)
{
    wb_slice rest = answer, line, value;
    bool has_length = false;
    size_t length = 0;
    int status;
    if (!next_line(&rest, &line) || !parse_status_line(line, &status)) return WB_ERR_MALFORMED;
    for (;;) {
        if (!next_line(&rest, &line)) return WB_ERR_MALFORMED;
        if (line.len == 0) break;
        if (header_is(line, "Transfer-Encoding", &value)) return WB_ERR_MALFORMED;
        if (!header_is(line, "Content-Length", &value)) continue;
        if (has_length || !parse_length(value, &length)) return WB_ERR_MALFORMED;
        has_length = true;
    }
    if (has_length && length > rest.len) return WB_ERR_MALFORMED;
    if (has_length) rest.len = length;
    *code = status;
    *body = rest;
    return WB_OK;
}

static wb_status connect_to(const char *host, uint16_t port, uint32_t timeout_ms, int *out,
                            wb_error *err)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000,
                                    .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    bool is_six = inet_pton(AF_INET6, host, &six.sin6_addr) == 1;
    if (!is_six && inet_pton(AF_INET, host, &four.sin_addr) != 1)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "%.60s is no numeric address", host);
    int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "no socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
                     sizeof timeout); /* else it waits longer */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    int rv = is_six ? connect(fd, (const struct sockaddr *)&six, sizeof six)
                    : connect(fd, (const struct sockaddr *)&four, sizeof four);
    if (rv != 0) {
        int why = errno;
        (void)close(fd);
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, why, "cannot reach %.60s:%u", host, port);
    }
    *out = fd;
    return WB_OK;
}

static wb_status exchange(int fd, wb_slice request, wb_buffer *answer, wb_error *err)
{
    if (send(fd, request.ptr, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "cannot send");
    for (;;) {
        uint8_t chunk[16384];
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n == 0) return WB_OK;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return wb_fail(err, WB_ERR_TIMEOUT, "no answer in time");
        if (n < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "cannot receive");
        if (wb_buffer_add(answer, chunk, (size_t)n) != WB_OK)
            return wb_fail(err, WB_ERR_MALFORMED, "the answer is too large");
    }
}

wb_status wb_http_get(const char *host, uint16_t port, const char *path, uint32_t timeout_ms,
                      wb_arena *arena, int *code, wb_slice *body, wb_error *err)
{
    int fd;
    WB_AUTO_BUFFER answer;
    wb_slice inside;
    wb_buffer_init(&answer, WB_HTTP_MAX_BYTES);
    bool is_six = strchr(host, ':') != NULL;
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nConnection: close\r\n\r\n", path,
                       is_six ? "[" : "", host, is_six ? "]" : "", port);
    if (len < 0 || (size_t)len >= sizeof request)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the address is too long");
    WB_TRY(connect_to(host, port, timeout_ms, &fd, err));
    wb_status status = exchange(fd, wb_slice_of(request, (size_t)len), &answer, err);
    (void)close(fd);
    if (status != WB_OK) return status;
    if (wb_http_parse(wb_buffer_slice(&answer), code, &inside) != WB_OK)
        return wb_fail(err, WB_ERR_MALFORMED, "not an HTTP answer");
    if (wb_arena_dup(arena, inside, body) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the answer");
    return WB_OK;
}
