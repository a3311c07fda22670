/* SPDX-License-Identifier: Apache-2.0 */
/* A parked record is out of the delivery for good, so it must be on the disk before the cursor passes
 * it. The file is for people and for small scripts: one JSON object a line,
 *
 *   {"time_ns":..,"seq":..,"entry":..,"kind":..,"reason":"..","payload_hex":".."}
 *
 * with "trace_id" and "span_id" before the payload where that has a single span, be it all of the record
 * or what was left of it when its other spans had gone through.
 *
 * Nobody takes records out of the files but people, so the disk must be kept from filling up: of two files
 * the older one goes when both are full. What goes with it was refused by the far side and is now gone for
 * good, so it is counted and said like any other loss.
 *
 * A crash between sync and cursor parks the record twice; a crash within the write leaves a line
 * without its end, which the next append closes with a line feed first. */
#include "sidecar/delivery/parked.h"

#include "core/buffer.h"
#include "core/json.h"
#include "core/paths.h"
#include "proto/span_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 384 * 1024 * 1024, /* a batch's 192 MiB in hex: no record is larger */
    LINE_HEAD_BYTES =
        2 * 1024, /* all but the payload: a reason has 160, at most 6 of each in JSON */
};

static wb_status add_hex(wb_buffer *line, wb_slice payload)
{
    uint8_t *out;
    WB_TRY(wb_buffer_reserve(line, payload.len * 2 + 1, &out));
    wb_hex(payload.ptr, payload.len, (char *)out);
    line->len--; /* the NUL */
    return WB_OK;
}

static wb_status add_span(wb_buffer *line, const wb_record_view *record)
{
    char trace[WB_TRACE_HEX + 1], span[WB_SPAN_HEX + 1];
    wb_span_batch batch;
    bool is_spans = record->kind == WB_ENTRY_SPANS || record->kind == WB_ENTRY_MARKERS;
    if (!is_spans || wb_span_batch_open(record->payload, &batch, NULL) != WB_OK) return WB_OK;
    if (batch.span_count != 1) return WB_OK;
    wb_span_row row = wb_span_batch_row(&batch, 0);
    wb_hex(row.trace_id.b, sizeof row.trace_id.b, trace);
    wb_hex(row.span_id.b, sizeof row.span_id.b, span);
    return wb_buffer_printf(line, ",\"trace_id\":\"%s\",\"span_id\":\"%s\"", trace, span);
}

static wb_status build_line(wb_buffer *line, const wb_record_view *record, wb_time_ns now,
                            const char *why)
{
    WB_TRY(wb_buffer_printf(line,
                            "{\"time_ns\":%llu,\"seq\":%llu,\"entry\":%u,\"kind\":%d,\"reason\":",
                            (unsigned long long)now, (unsigned long long)record->seq, record->entry,
                            (int)record->kind));
    WB_TRY(wb_json_add_string(line, wb_slice_str(why)));
    WB_TRY(add_span(line, record));
    WB_TRY(wb_buffer_printf(line, ",\"payload_hex\":\""));
    WB_TRY(add_hex(line, record->payload));
    return wb_buffer_printf(line, "\"}\n");
}

static int write_all(int fd, wb_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        bytes = (wb_slice){bytes.ptr + n, bytes.len - (size_t)n};
    }
    return 0;
}

/* Open for appending behind a whole line; *fresh: the name is new and the directory wants a sync. */
static int open_file(const char *path, bool *fresh)
{
    struct stat st;
    char last = '\n';
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) != 0) return fd;
    *fresh = st.st_size == 0;
    if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n')
        (void)write_all(fd, WB_S("\n")); /* a failure shows at the next write */
    return fd;
}

static wb_status append(const char *dir, const char *path, wb_slice line, wb_error *err)
{
    bool fresh = false;
    int fd = open_file(path, &fresh);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "cannot open %.80s", path);
    int why = write_all(fd, line);
    if (why == 0 && fdatasync(fd) != 0) why = errno;
    (void)close(fd);
    if (why != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, why, "cannot write %.80s", path);
    if (!fresh) return WB_OK;
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 || fsync(dir_fd) != 0) why = errno;
    if (dir_fd >= 0) (void)close(dir_fd);
    if (why != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, why, "cannot sync %.80s", dir);
    return WB_OK;
}

static wb_status path_of(const wb_parking *place, char out[WB_PATH_MAX], wb_error *err)
{
    int len = snprintf(out, WB_PATH_MAX, "%s/%s.parked", place->dir, place->exporter);
    if (len >= 0 && (size_t)len < WB_PATH_MAX) return WB_OK;
    return wb_fail(err, WB_ERR_UNAVAILABLE, "path of the parked records is too long");
}

/* ---- making room ---------------------------------------------------------------------------- */

/* Lines of a file, none if it is missing. */
static int count_lines(const char *path, uint64_t *out)
{
    char bytes[16 * 1024];
    uint64_t lines = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *out = 0;
    if (fd < 0) return errno == ENOENT ? 0 : errno;
    while ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t i = 0; i < n; i++) lines += bytes[i] == '\n';
    int why = n < 0 ? errno : 0;
    (void)close(fd);
    if (why == 0) *out = lines;
    return why;
}

uint64_t wb_parked_make_room(const wb_parking *place, const wb_record_view *record)
{
    char path[WB_PATH_MAX], old[WB_PATH_MAX + 8];
    struct stat st;
    uint64_t max = place->max_bytes ? place->max_bytes : WB_PARKED_MAX_BYTES, gone;
    uint64_t line = LINE_HEAD_BYTES + 2 * (uint64_t)record->payload.len;
    if (path_of(place, path, NULL) != WB_OK || stat(path, &st) != 0) return 0;
    if (st.st_size == 0 || (uint64_t)st.st_size + line <= max) return 0;
    (void)snprintf(old, sizeof old, "%s.old", path);
    if (count_lines(old, &gone) != 0 || rename(path, old) != 0) return 0;
    return gone;
}

/* ---- parking -------------------------------------------------------------------------------- */

wb_status wb_park(const wb_parking *place, const wb_record_view *record, wb_time_ns now,
                  const wb_error *why, wb_error *err)
{
    char path[WB_PATH_MAX];
    WB_AUTO_BUFFER line;
    wb_buffer_init(&line, LINE_MAX_BYTES);
    WB_TRY(path_of(place, path, err));
    wb_error cause;
    if (wb_make_dirs(place->dir, &cause) != WB_OK)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "%s", cause.detail);
    if (build_line(&line, record, now, why->detail) != WB_OK)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "no memory to park a record");
    return append(place->dir, path, wb_buffer_slice(&line), err);
}
