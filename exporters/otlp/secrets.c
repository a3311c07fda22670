/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens are rotated by replacing their file, so a file is looked at before each send and read when it is
 * another one than before. Three looks cost less than a thousandth of a request. */
#include "exporters/otlp/secrets.h"

#include "core/secret_file.h"

enum { ARENA_BYTES = 2 * WB_SECRET_FILE_MAX + 64 * 1024 };

void wb_otlp_secrets_init(wb_otlp_secrets *secrets, const wb_otlp_settings *settings)
{
    *secrets = (wb_otlp_secrets){.settings = settings};
}

void wb_otlp_secrets_done(wb_otlp_secrets *secrets)
{
    wb_arena_free(secrets->arena);
    *secrets = (wb_otlp_secrets){.settings = secrets->settings};
}

/* ---- reading -------------------------------------------------------------------------------- */

/* One a line; empty ones and those that begin with # count for nothing. */
static wb_status read_headers(wb_otlp_secrets *s, const char *path, wb_error *err)
{
    wb_slice rest;
    WB_TRY(wb_secret_file_read("headers_file", path, s->arena, &rest, err));
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        wb_slice line = {rest.ptr, len};
        rest = end ? (wb_slice){end + 1, rest.len - len - 1} : (wb_slice){0};
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
        if (line.len == 0 || line.ptr[0] == '#') continue;
        wb_error why = {0};
        wb_status status = wb_otlp_header_add(&s->headers, line, false, s->arena, &why);
        if (status != WB_OK) return wb_fail(err, status, "headers_file: %s", why.detail);
    }
    return WB_OK;
}

/* RFC 6750 section 2.1: a token has no blanks; neither may end its line. */
static bool is_text(wb_slice text, uint8_t least)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < least || text.ptr[i] == 0x7F) return false;
    return true;
}

static wb_status read_bearer(wb_otlp_secrets *s, const char *path, wb_error *err)
{
    wb_slice token;
    WB_TRY(wb_secret_file_read("bearer_file", path, s->arena, &token, err));
    if (!is_text(token, '!'))
        return wb_fail(err, WB_ERR_CONFIG, "bearer_file: there is more than a token in it");
    s->bearer = wb_arena_printf(s->arena, "Authorization: Bearer %.*s", WB_SLICE_ARG(token));
    return s->bearer ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a token");
}

/* RFC 4648 section 4 */
static wb_status to_base64(wb_slice in, wb_arena *arena, wb_slice *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = (in.len + 2) / 3 * 4;
    char *text = wb_arena_alloc(arena, len + 1);
    if (!text) return WB_ERR_NO_MEMORY;
    for (size_t i = 0, at = 0; i < in.len; i += 3, at += 4) {
        uint32_t bits = (uint32_t)in.ptr[i] << 16;
        if (i + 1 < in.len) bits |= (uint32_t)in.ptr[i + 1] << 8;
        if (i + 2 < in.len) bits |= in.ptr[i + 2];
        text[at] = digits[bits >> 18];
        text[at + 1] = digits[bits >> 12 & 63];
        text[at + 2] = '=';
        text[at + 3] = '=';
        if (i + 1 < in.len) text[at + 2] = digits[bits >> 6 & 63];
        if (i + 2 < in.len) text[at + 3] = digits[bits & 63];
    }
    *out = wb_slice_of(text, len);
    return WB_OK;
}

static wb_status read_basic(wb_otlp_secrets *s, const char *path, wb_error *err)
{
    wb_slice text;
    WB_TRY(wb_secret_file_read("basic_file", path, s->arena, &text, err));
    if (!is_text(text, ' ') || !memchr(text.ptr, ':', text.len))
        return wb_fail(err, WB_ERR_CONFIG, "basic_file: it is not user:password");
    s->basic = (const char *)text.ptr;
    if (to_base64(text, s->arena, &s->basic_sent) == WB_OK) return WB_OK;
    return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a password");
}

static wb_status read_all(wb_otlp_secrets *s, wb_error *err)
{
    const wb_otlp_settings *have = s->settings;
    s->arena = wb_arena_new(ARENA_BYTES);
    if (!s->arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for headers");
    if (have->headers_file) WB_TRY(read_headers(s, have->headers_file, err));
    if (have->bearer_file) WB_TRY(read_bearer(s, have->bearer_file, err));
    return have->basic_file ? read_basic(s, have->basic_file, err) : WB_OK;
}

/* ---- noticing ------------------------------------------------------------------------------- */

/* Another file than before, or another content? A stamp of a file that cannot be seen is all zero. */
static bool has_changed(const char *path, wb_otlp_stamp *stamp)
{
    struct stat st;
    wb_otlp_stamp now = {0};
    if (stat(path, &st) == 0) now = (wb_otlp_stamp){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
    bool differs = now.dev != stamp->dev || now.ino != stamp->ino || now.size != stamp->size ||
                   now.changed.tv_sec != stamp->changed.tv_sec ||
                   now.changed.tv_nsec != stamp->changed.tv_nsec;
    *stamp = now;
    return differs;
}

wb_status wb_otlp_secrets_refresh(wb_otlp_secrets *secrets, wb_error *err)
{
    const wb_otlp_settings *have = secrets->settings;
    const char *const files[] = {have->headers_file, have->bearer_file, have->basic_file};
    wb_otlp_secrets fresh = {.settings = have};
    bool differs = !secrets->good;
    memcpy(fresh.stamps, secrets->stamps, sizeof fresh.stamps);
    for (size_t i = 0; i < WB_COUNT(files); i++)
        if (files[i] && has_changed(files[i], &fresh.stamps[i])) differs = true;
    if (!differs) return WB_OK;
    wb_status status = read_all(&fresh, err);
    fresh.good = status == WB_OK;
    wb_arena_free(fresh.good ? secrets->arena : fresh.arena);
    if (fresh.good)
        *secrets = fresh;
    else
        secrets->good = false;
    return status;
}

/* ---- what is secret ------------------------------------------------------------------------- */

enum { LEAST = 4 }; /* bytes: a shorter one would blank half of any text */

typedef struct list {
    wb_slice *out;
    size_t n;
} list;

static void add(list *l, wb_slice text)
{
    if (text.len >= LEAST && l->n < WB_OTLP_HIDDEN_MAX) l->out[l->n++] = text;
}

static wb_slice behind(wb_slice text, char mark)
{
    const uint8_t *at = text.len ? memchr(text.ptr, mark, text.len) : NULL;
    if (!at) return (wb_slice){0};
    return (wb_slice){at + 1, text.len - (size_t)(at + 1 - text.ptr)};
}

/* "Name: value", and of "Name: Bearer value" the value alone, too. */
static void add_values(list *l, const wb_otlp_headers *headers)
{
    for (size_t i = 0; i < headers->n; i++) {
        wb_slice value = behind(wb_slice_str(headers->lines[i]), ':');
        if (value.len > 0) value = (wb_slice){value.ptr + 1, value.len - 1};
        add(l, value);
        add(l, behind(value, ' '));
    }
}

/* A query is where some have their key: all of it, and each value. */
static void add_query(list *l, wb_slice query)
{
    add(l, query);
    while (query.len > 0) {
        const uint8_t *end = memchr(query.ptr, '&', query.len);
        size_t len = end ? (size_t)(end - query.ptr) : query.len;
        add(l, behind((wb_slice){query.ptr, len}, '='));
        query = end ? (wb_slice){end + 1, query.len - len - 1} : (wb_slice){0};
    }
}

size_t wb_otlp_secrets_list(const wb_otlp_secrets *secrets, const wb_otlp_target *target,
                            wb_slice out[WB_OTLP_HIDDEN_MAX])
{
    list l = {out, 0};
    if (secrets->bearer) add(&l, wb_slice_str(secrets->bearer + strlen("Authorization: Bearer ")));
    if (secrets->basic) {
        wb_slice text = wb_slice_str(secrets->basic);
        add(&l, text);
        add(&l, behind(text, ':'));
        add(&l, secrets->basic_sent);
    }
    add_values(&l, &secrets->headers);
    add_values(&l, &target->headers);
    add_query(&l, behind(wb_slice_str(target->url), '?'));
    return l.n;
}
