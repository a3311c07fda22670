/* SPDX-License-Identifier: Apache-2.0 */
/* Where a frame should start and none does, the segment's magic is looked for at every multiple of 8
 * behind it. So a damaged frame costs itself alone, even if its length is what was hit; a wrong length
 * costs one CRC over the wrong bytes. */
#include "sidecar/journal/scan.h"

#include "sidecar/journal/layout.h"

#include <errno.h>
#include <stdlib.h>

enum { BLOCK = 4096 };

void wb_scan_init(wb_scan *scan, const wb_file_ops *ops, int file, const wb_frame_home *home,
                  uint64_t at, uint64_t end, size_t chunk)
{
    *scan = (wb_scan){.ops = ops, .file = file, .home = home, .at = at, .end = end, .chunk = chunk};
}

void wb_scan_rest(wb_scan *scan)
{
    free(scan->buf);
    scan->buf = NULL;
    scan->cap = scan->len = 0;
}

void wb_scan_done(wb_scan *scan) { wb_scan_rest(scan); }

/* A block that the disk cannot read becomes zeros, which hold no frame. */
static int read_around_damage(wb_scan *s, size_t len)
{
    size_t done = 0, got = 0;
    int rv = s->ops->read_at(s->ops, s->file, s->buf, len, s->at, &done);
    if (rv != -EIO) {
        s->len = rv == 0 ? done : 0;
        return rv;
    }
    for (done = 0; done < len; done += got) {
        size_t n = len - done < BLOCK ? len - done : BLOCK;
        rv = s->ops->read_at(s->ops, s->file, s->buf + done, n, s->at + done, &got);
        if (rv == -EIO) {
            memset(s->buf + done, 0, n);
            got = n;
        } else if (rv != 0) {
            return rv;
        }
        if (got < n) break;
    }
    s->len = done + (done < len ? got : 0);
    return 0;
}

/* What was set aside for frames and never written need not be read to know that it has none: most of
 * a young journal. */
static wb_status skip_unwritten(wb_scan *s, wb_error *err)
{
    uint64_t data = s->at;
    int rv = s->ops->next_data(s->ops, s->file, s->at, &data);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: look for data");
    if (data >= s->end) data = s->end;
    if (data > s->at) s->at = data - data % WB_FRAME_ALIGN;
    return WB_OK;
}

/* Read from `at` on, so that at least `need` bytes are there. */
static wb_status fill(wb_scan *s, size_t need, wb_error *err)
{
    size_t want = need > s->chunk ? need : s->chunk;
    if (want > need + BLOCK) want -= (s->at + want) % BLOCK; /* the next one begins with a block */
    if (want > s->end - s->at) want = (size_t)(s->end - s->at);
    if (s->cap < want || s->cap > 2 * want + BLOCK) {
        wb_scan_rest(s);
        s->buf = malloc(want);
        if (!s->buf) return wb_fail(err, WB_ERR_NO_MEMORY, "journal: %zu bytes to read into", want);
        s->cap = want;
    }
    int rv = read_around_damage(s, want);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: read");
    s->buf_at = s->at;
    if (s->len < want) s->end = s->at + s->len; /* the file is shorter than it should be */
    return WB_OK;
}

static wb_slice in_buffer(const wb_scan *s)
{
    if (!s->buf || s->at < s->buf_at || s->at - s->buf_at > s->len) return (wb_slice){NULL, 0};
    size_t skip = (size_t)(s->at - s->buf_at);
    size_t len = s->len - skip;
    if (len > s->end - s->at) len = (size_t)(s->end - s->at);
    return (wb_slice){s->buf + skip, len};
}

/* Move to the next place in the buffer that has the magic, or to where the buffer ends. */
static void skip_to_magic(wb_scan *s, wb_slice here)
{
    uint64_t magic, word;
    size_t i = 8;
    memcpy(&magic, s->home->magic, sizeof magic);
    for (; i + 8 <= here.len; i += 8) {
        memcpy(&word, here.ptr + i, sizeof word);
        if (word == magic) break;
    }
    s->at += i;
}

static void note_broken(wb_scan *s, wb_slice here)
{
    if (here.len < WB_FRAME_HEADER || memcmp(here.ptr, s->home->magic, 8) != 0) return;
    uint64_t said = wb_frame_built_bytes(here.ptr);
    if (said < WB_FRAME_HEADER || said > WB_FRAME_MAX_BYTES) said = WB_FRAME_HEADER;
    uint64_t end = s->at + said < s->end ? s->at + said : s->end;
    if (end > s->broken_end) s->broken_end = end;
}

wb_status wb_scan_next(wb_scan *s, wb_frame_view *view, wb_error *err)
{
    size_t need = WB_FRAME_HEADER;
    while (s->at < s->end && s->end - s->at >= WB_FRAME_HEADER) {
        wb_slice here = in_buffer(s);
        if (here.len < need && s->lost) {
            uint64_t before = s->at;
            WB_TRY(skip_unwritten(s, err));
            if (s->at != before) continue;
        }
        if (here.len < need) {
            WB_TRY(fill(s, need, err));
            here = in_buffer(s);
        }
        wb_frame_look look = wb_frame_parse(here, s->end - s->at, s->home, view, &need);
        if (look == WB_FRAME_SHORT && here.len < need && need <= s->end - s->at) continue;
        need = WB_FRAME_HEADER;
        s->lost = look != WB_FRAME_GOOD;
        if (look == WB_FRAME_GOOD) {
            s->frame_at = s->at;
            s->at += view->bytes;
            return WB_OK;
        }
        note_broken(s, here);
        skip_to_magic(s, here);
    }
    return WB_ERR_NOT_FOUND;
}
