/* SPDX-License-Identifier: Apache-2.0 */
/* A key that was replaced has signed tokens that are on their way, and receipts that are kept for
 * years. Its secret half is gone; what stays is one small file with its public half and the window of
 * `iat` in which it signed, which is all that checking takes. Files are named by key id, so a key can
 * neither stand there twice nor under another's name. */
#include "propagation/retired.h"

#include "core/json.h"
#include "propagation/laid_file.h"
#include "propagation/token.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "waybill-pk-v1:"
#define SUFFIX ".pub"

enum { NAME_LEN = WB_HASH_B64 + sizeof SUFFIX - 1 };

/* ---- the line ------------------------------------------------------------------------------- */

/* What stands before the next ':', or the rest. */
static wb_slice take_field(wb_slice *line)
{
    const uint8_t *colon = line->len > 0 ? memchr(line->ptr, ':', line->len) : NULL;
    wb_slice field = {line->ptr, colon ? (size_t)(colon - line->ptr) : line->len};
    size_t used = field.len + (colon ? 1 : 0);
    *line = (wb_slice){line->ptr + used, line->len - used};
    return field;
}

wb_status wb_retired_parse(wb_slice line, wb_trust_key *out)
{
    wb_trust_key key = {0};
    if (line.len > 0 && line.ptr[line.len - 1] == '\n') line.len--;
    if (line.len >= WB_RETIRED_LINE_MAX || !wb_slice_starts(line, WB_S(PREFIX)))
        return WB_ERR_MALFORMED;
    line = (wb_slice){line.ptr + sizeof PREFIX - 1, line.len - (sizeof PREFIX - 1)};
    wb_slice kid = take_field(&line);
    wb_slice x = take_field(&line);
    wb_slice nbf = take_field(&line);
    if (wb_b64url_parse_exact(x, key.x, sizeof key.x) != WB_OK || !wb_ed25519_point_ok(key.x))
        return WB_ERR_MALFORMED;
    wb_ed25519_kid(key.x, key.kid);
    if (!wb_slice_eq(kid, wb_slice_str(key.kid))) return WB_ERR_MALFORMED;
    if (!wb_json_int(nbf, &key.nbf) || !wb_json_int(line, &key.exp)) return WB_ERR_MALFORMED;
    *out = key;
    return WB_OK;
}

size_t wb_retired_format(const wb_trust_key *key, char out[WB_RETIRED_LINE_MAX])
{
    char x[WB_HASH_B64 + 1];
    wb_b64url_format(wb_slice_of(key->x, sizeof key->x), x);
    return (size_t)snprintf(out, WB_RETIRED_LINE_MAX, PREFIX "%s:%s:%llu:%llu\n", key->kid, x,
                            (unsigned long long)key->nbf, (unsigned long long)key->exp);
}

/* ---- the folder ----------------------------------------------------------------------------- */

static bool is_ours(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len >= sizeof SUFFIX - 1 &&
           strcmp(name + len - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static wb_status load_one(const char *keys_dir, const char *name, wb_trust_key *out,
                          uint64_t *newest_s, wb_error *err)
{
    char path[NAME_MAX + sizeof WB_RETIRED_DIR + 1], line[WB_RETIRED_LINE_MAX];
    struct stat st;
    size_t len = 0;
    int opened = -1;
    (void)snprintf(path, sizeof path, WB_RETIRED_DIR "/%s", name);
    WB_TRY(wb_laid_file_open(keys_dir, path, WB_LAID_SECRET, &opened, &st, err));
    WB_AUTO_FD fd = opened;
    if (wb_file_read(fd, line, sizeof line, &len) != WB_OK)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%.60s/%s", keys_dir, path);
    if (wb_retired_parse(wb_slice_of(line, len), out) != WB_OK || strlen(name) != NAME_LEN ||
        memcmp(name, out->kid, WB_HASH_B64) != 0)
        return wb_fail(err, WB_ERR_CONFIG, "%.60s/%.60s is not the public key of its name",
                       keys_dir, path);
    if ((uint64_t)st.st_mtim.tv_sec > *newest_s) *newest_s = (uint64_t)st.st_mtim.tv_sec;
    return WB_OK;
}

static int last_first(const void *a, const void *b)
{
    const wb_trust_key *x = a, *y = b;
    if (x->exp != y->exp) return x->exp > y->exp ? -1 : 1;
    return strcmp(x->kid, y->kid);
}

static wb_status load_all(const char *keys_dir, DIR *dir, wb_trust_key *out, size_t *n,
                          uint64_t *newest_s, wb_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir); /* NOLINT(concurrency-mt-unsafe): a DIR of our own */
        if (!d && errno != 0)
            return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s/" WB_RETIRED_DIR, keys_dir);
        if (!d) return WB_OK;
        if (!is_ours(d->d_name)) continue;
        if (*n == WB_RETIRED_MAX)
            return wb_fail(err, WB_ERR_CONFIG,
                           "%.60s/" WB_RETIRED_DIR " has more than %d keys: waybill key retire "
                           "--drop KID",
                           keys_dir, WB_RETIRED_MAX);
        wb_status status = load_one(keys_dir, d->d_name, &out[*n], newest_s, err);
        if (status == WB_ERR_NOT_FOUND) continue; /* dropped since it was listed */
        WB_TRY(status);
        (*n)++;
    }
}

static wb_status path_of(const char *keys_dir, char out[PATH_MAX], wb_error *err)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/" WB_RETIRED_DIR, keys_dir) < PATH_MAX) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "the key directory's name is too long");
}

wb_status wb_retired_load(const char *keys_dir, wb_trust_key out[WB_RETIRED_MAX], size_t *n,
                          uint64_t *newest_s, wb_error *err)
{
    char path[PATH_MAX];
    struct stat st;
    size_t found = 0;
    *n = 0;
    WB_TRY(path_of(keys_dir, path, err));
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT) return WB_OK;
    if (!dir) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", path);
    if (fstat(dirfd(dir), &st) == 0 && (uint64_t)st.st_mtim.tv_sec > *newest_s)
        *newest_s = (uint64_t)st.st_mtim.tv_sec;
    wb_status status = load_all(keys_dir, dir, out, &found, newest_s, err);
    (void)closedir(dir);
    if (status != WB_OK) return status;
    if (found > 1) qsort(out, found, sizeof *out, last_first);
    *n = found;
    return WB_OK;
}

wb_status wb_retired_put(const char *keys_dir, const wb_trust_key *key, wb_error *err)
{
    char path[PATH_MAX], name[NAME_LEN + 1], line[WB_RETIRED_LINE_MAX];
    WB_TRY(path_of(keys_dir, path, err));
    WB_TRY(wb_folder_make(path, err));
    WB_TRY(wb_folder_sync(keys_dir, err)); /* its name, if it was made */
    (void)snprintf(name, sizeof name, "%s" SUFFIX, key->kid);
    size_t len = wb_retired_format(key, line);
    return wb_file_put(path, name, wb_slice_of(line, len), 0600, true, err);
}

wb_status wb_retired_drop(const char *keys_dir, const char *kid, wb_error *err)
{
    char path[PATH_MAX], name[NAME_LEN + 1];
    WB_TRY(path_of(keys_dir, path, err));
    (void)snprintf(name, sizeof name, "%s" SUFFIX, kid);
    return wb_file_drop(path, name, err);
}
