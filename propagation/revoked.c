/* SPDX-License-Identifier: Apache-2.0 */
/* The list is a file that people write, so its reader is lenient about what cannot change a meaning
 * (blanks between and around the words, a carriage return at the end, comments, empty lines) and strict
 * about all that could: a line with a fault makes the whole file count for nothing, since a revocation
 * that is silently left out is a thief let in. The caller keeps the list of before, or does not start.
 *
 * In memory each line is 32 bytes that name what it revokes (a kid and a token hash are 32 bytes
 * already; of an agent id it is the SHA-256), its kind and its time, sorted so that one binary search
 * answers; the text stays beside it, for listing. 65 536 lines take some 4 MiB and 16 comparisons. Of
 * several lines for one thing the earliest time counts: it is in force as soon as any of them is.
 *
 * wb_revoked_add reads, appends and replaces the file whole (core/files.h), so a crash leaves the list
 * of before or the new one, never half a line. */
#include "propagation/revoked.h"

#include "core/json.h"
#include "propagation/laid_file.h"
#include "propagation/token.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct mark {
    uint8_t key[WB_HASH_BYTES];
    uint8_t kind;
    uint64_t from_s;
} mark;

struct wb_revoked {
    uint8_t *text; /* owned; `lines` point into it */
    wb_revocation *lines;
    mark *marks; /* sorted by kind, key, time */
    size_t n;
    bool laid; /* there was a file */
};

static const char *const kind_names[] = {"kid", "tth", "iss"};

const char *wb_revoked_kind_name(wb_revoked_kind kind)
{
    return (size_t)kind < WB_COUNT(kind_names) ? kind_names[kind] : "";
}

bool wb_revoked_kind_parse(wb_slice word, wb_revoked_kind *out)
{
    for (size_t i = 0; i < WB_COUNT(kind_names); i++)
        if (wb_slice_eq(word, wb_slice_str(kind_names[i]))) {
            *out = (wb_revoked_kind)i;
            return true;
        }
    return false;
}

void wb_revoked_free(wb_revoked *revoked)
{
    if (!revoked) return;
    free(revoked->text);
    free(revoked->lines);
    free(revoked->marks);
    free(revoked);
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The next word of `line`, which is cut in front. Empty at its end. */
static wb_slice take_word(wb_slice *line)
{
    while (line->len > 0 && is_blank(line->ptr[0]))
        *line = (wb_slice){line->ptr + 1, line->len - 1};
    size_t len = 0;
    while (len < line->len && !is_blank(line->ptr[len])) len++;
    wb_slice word = {line->ptr, len};
    *line = (wb_slice){line->ptr + len, line->len - len};
    return word;
}

static bool mark_of(const wb_revocation *r, mark *out)
{
    mark m = {.kind = (uint8_t)r->kind, .from_s = r->from_s};
    if (r->kind == WB_REVOKED_ISS) {
        if (!wb_agent_id_ok(r->value)) return false;
        wb_sha256(r->value, m.key);
    } else if (wb_b64url_parse_exact(r->value, m.key, sizeof m.key) != WB_OK) {
        return false;
    }
    *out = m;
    return true;
}

/* One line without its line feed. True with nothing added if it says nothing. */
static bool take_line(wb_revoked *revoked, wb_slice line)
{
    wb_revocation r = {0};
    wb_slice word = take_word(&line);
    if (word.len == 0 || word.ptr[0] == '#') return true;
    if (!wb_revoked_kind_parse(word, &r.kind)) return false;
    r.value = take_word(&line);
    if (!wb_json_int(take_word(&line), &r.from_s) || take_word(&line).len > 0) return false;
    if (!mark_of(&r, &revoked->marks[revoked->n])) return false;
    revoked->lines[revoked->n++] = r;
    return true;
}

static int compare_marks(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    int order = memcmp(x->key, y->key, sizeof x->key);
    if (order != 0) return order;
    return (x->from_s > y->from_s) - (x->from_s < y->from_s);
}

static size_t count_lines(wb_slice text)
{
    size_t lines = 0;
    const uint8_t *end = text.ptr + text.len;
    for (const uint8_t *at = text.ptr; at < end; lines++) {
        const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
        at = feed ? feed + 1 : end;
    }
    return lines;
}

static wb_status take_lines(wb_revoked *revoked, size_t len, wb_error *err)
{
    wb_slice rest = {revoked->text, len};
    for (size_t number = 1; rest.len > 0; number++) {
        const uint8_t *feed = memchr(rest.ptr, '\n', rest.len);
        wb_slice line = {rest.ptr, feed ? (size_t)(feed - rest.ptr) : rest.len};
        if (!take_line(revoked, line))
            return wb_fail(err, WB_ERR_MALFORMED,
                           "line %zu is not: kid|tth|iss, what is revoked, Unix seconds", number);
        size_t used = line.len + (feed ? 1 : 0);
        rest = (wb_slice){rest.ptr + used, rest.len - used};
    }
    if (revoked->n > 1) qsort(revoked->marks, revoked->n, sizeof *revoked->marks, compare_marks);
    return WB_OK;
}

static wb_status no_memory(wb_error *err)
{
    return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the revocations");
}

static wb_status fill(wb_revoked *revoked, wb_slice text, size_t lines, wb_error *err)
{
    revoked->text = malloc(text.len + 1);
    revoked->lines = calloc(lines + 1, sizeof *revoked->lines);
    revoked->marks = calloc(lines + 1, sizeof *revoked->marks);
    if (!revoked->text || !revoked->lines || !revoked->marks) return no_memory(err);
    if (text.len > 0) memcpy(revoked->text, text.ptr, text.len);
    return take_lines(revoked, text.len, err);
}

wb_status wb_revoked_parse(wb_slice text, wb_revoked **out, wb_error *err)
{
    if (text.len > WB_REVOKED_MAX_BYTES)
        return wb_fail(err, WB_ERR_FULL, "larger than %d bytes", WB_REVOKED_MAX_BYTES);
    size_t lines = text.len > 0 ? count_lines(text) : 0;
    if (lines > WB_REVOKED_MAX_LINES)
        return wb_fail(err, WB_ERR_FULL, "more than %d lines", WB_REVOKED_MAX_LINES);
    wb_revoked *revoked = calloc(1, sizeof *revoked);
    wb_status status = revoked ? fill(revoked, text, lines, err) : no_memory(err);
    if (status == WB_OK)
        *out = revoked;
    else
        wb_revoked_free(revoked);
    return status;
}

/* Does the name stand there, whatever it leads to? */
static bool name_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 || errno != ENOENT;
}

/* The file is not to be found: is it absent, or a link to nothing? */
static wb_status check_absent(const char *dir, wb_error *err)
{
    char path[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(path, sizeof path, "%s/" WB_REVOKED_FILE, dir) >= sizeof path)
        return wb_fail(err, WB_ERR_CONFIG, "the name of %.40s is too long", dir);
    bool broken = stat(dir, &st) == 0 ? name_exists(path) : name_exists(dir);
    if (!broken) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG,
                   "%.100s/" WB_REVOKED_FILE " leads to nothing: lay the file down", dir);
}

/* The file's text; empty where there is none. */
static wb_status get_text(const char *dir, wb_buffer *text, bool *laid, wb_error *err)
{
    wb_error why = {0};
    wb_status status =
        wb_laid_file_get(dir, WB_REVOKED_FILE, WB_LAID_PUBLIC, WB_REVOKED_MAX_BYTES, text, &why);
    *laid = status == WB_OK;
    if (status == WB_ERR_NOT_FOUND) return check_absent(dir, err);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "%s", why.detail);
}

static wb_status parse_file(const char *dir, wb_slice text, wb_revoked **out, wb_error *err)
{
    wb_error why = {0};
    wb_status status = wb_revoked_parse(text, out, &why);
    if (status == WB_OK) return WB_OK;
    return wb_fail(err, status == WB_ERR_MALFORMED ? WB_ERR_CONFIG : status,
                   "%.60s/" WB_REVOKED_FILE ": %s", dir, why.detail);
}

wb_status wb_revoked_load(const char *trust_dir, wb_revoked **out, wb_error *err)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, WB_REVOKED_MAX_BYTES + 1);
    bool laid = false;
    WB_TRY(get_text(trust_dir, &text, &laid, err));
    WB_TRY(parse_file(trust_dir, wb_buffer_slice(&text), out, err));
    (*out)->laid = laid;
    return WB_OK;
}

/* ---- asking --------------------------------------------------------------------------------- */

/* The first mark of a kind and key has the earliest time. */
static bool in_force(const wb_revoked *revoked, wb_revoked_kind kind, const uint8_t *key,
                     uint64_t now_s)
{
    mark wanted = {.kind = (uint8_t)kind};
    size_t low = 0, high = revoked->n;
    memcpy(wanted.key, key, sizeof wanted.key);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_marks(&revoked->marks[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    const mark *found = &revoked->marks[low];
    return low < revoked->n && found->kind == wanted.kind &&
           memcmp(found->key, key, sizeof found->key) == 0 && now_s >= found->from_s;
}

bool wb_revoked_kid(const wb_revoked *revoked, wb_slice kid, uint64_t now_s)
{
    uint8_t key[WB_HASH_BYTES];
    return revoked && revoked->n > 0 && wb_b64url_parse_exact(kid, key, sizeof key) == WB_OK &&
           in_force(revoked, WB_REVOKED_KID, key, now_s);
}

bool wb_revoked_tth(const wb_revoked *revoked, const uint8_t hash[WB_HASH_BYTES], uint64_t now_s)
{
    return revoked && revoked->n > 0 && in_force(revoked, WB_REVOKED_TTH, hash, now_s);
}

bool wb_revoked_iss(const wb_revoked *revoked, wb_slice issuer, uint64_t now_s)
{
    uint8_t key[WB_HASH_BYTES];
    if (!revoked || revoked->n == 0) return false;
    wb_sha256(issuer, key);
    return in_force(revoked, WB_REVOKED_ISS, key, now_s);
}

bool wb_revoked_token(const wb_revoked *revoked, wb_slice issuer, wb_slice kid,
                      const uint8_t hash[WB_HASH_BYTES], uint64_t now_s)
{
    return wb_revoked_iss(revoked, issuer, now_s) || wb_revoked_kid(revoked, kid, now_s) ||
           wb_revoked_tth(revoked, hash, now_s);
}

bool wb_revoked_is_laid(const wb_revoked *revoked) { return revoked && revoked->laid; }

size_t wb_revoked_count(const wb_revoked *revoked) { return revoked ? revoked->n : 0; }

wb_revocation wb_revoked_at(const wb_revoked *revoked, size_t i) { return revoked->lines[i]; }

/* ---- adding --------------------------------------------------------------------------------- */

/* Is the text a list, and does it revoke `m` by then? */
static wb_status check_list(const char *dir, wb_slice text, const mark *m, bool *known,
                            wb_error *err)
{
    wb_revoked *revoked = NULL;
    WB_TRY(parse_file(dir, text, &revoked, err));
    *known = revoked->n > 0 && in_force(revoked, (wb_revoked_kind)m->kind, m->key, m->from_s);
    wb_revoked_free(revoked);
    return WB_OK;
}

wb_status wb_revoked_add(const char *trust_dir, const wb_revocation *what, bool must_be_laid,
                         wb_error *err)
{
    mark m;
    int locked = -1;
    WB_AUTO_BUFFER text;
    bool known = false;
    wb_buffer_init(&text, 2 * WB_REVOKED_MAX_BYTES);
    if (what->from_s > WB_NOLIM || !mark_of(what, &m))
        return wb_fail(err, WB_ERR_MALFORMED, "that is no %s",
                       what->kind == WB_REVOKED_ISS ? "agent id" : "hash of 43 characters");
    WB_TRY(wb_folder_make(trust_dir, err));
    WB_TRY(wb_folder_lock(trust_dir, &locked, err));
    WB_AUTO_FD lock = locked;
    (void)lock;
    bool laid = false;
    WB_TRY(get_text(trust_dir, &text, &laid, err));
    WB_TRY(wb_laid_file_check_no_link(trust_dir, WB_REVOKED_FILE, err));
    if (must_be_laid && !laid)
        return wb_fail(err, WB_ERR_NOT_FOUND, "%.100s/" WB_REVOKED_FILE " is gone", trust_dir);
    WB_TRY(check_list(trust_dir, wb_buffer_slice(&text), &m, &known, err));
    if (known) return wb_fail(err, WB_ERR_REJECTED, "it is revoked by then already");
    bool unfinished = text.len > 0 && text.ptr[text.len - 1] != '\n';
    if (wb_buffer_printf(&text, "%s%s %.*s %llu\n", unfinished ? "\n" : "",
                         wb_revoked_kind_name(what->kind), WB_SLICE_ARG(what->value),
                         (unsigned long long)what->from_s) != WB_OK)
        return no_memory(err);
    /* within the limits? */
    WB_TRY(check_list(trust_dir, wb_buffer_slice(&text), &m, &known, err));
    return wb_file_put(trust_dir, WB_REVOKED_FILE, wb_buffer_slice(&text), 0644, true, err);
}
