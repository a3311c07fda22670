/* SPDX-License-Identifier: Apache-2.0 */
/* The environment is read once, at start, before threads. An empty variable counts as unset, which is
 * what the XDG specification says and what a container's `ENV X=` means. */
#include "core/paths.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *env(const char *key)
{
    const char *value = getenv(key); /* NOLINT(concurrency-mt-unsafe): before threads */
    return value && *value ? value : NULL;
}

static const char *env_dir(const char *key)
{
    const char *value = env(key);
    return value && *value == '/' ? value : NULL;
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool wb_name_is_valid(wb_slice name)
{
    if (name.len == 0 || name.len > WB_NAME_MAX || name.ptr[0] == '.') return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_byte(name.ptr[i])) return false;
    return true;
}

static void name_from_service(const char *service, char out[WB_NAME_MAX + 1])
{
    size_t n = 0;
    for (; service[n] && n < WB_NAME_MAX; n++)
        out[n] = is_name_byte((uint8_t)service[n]) ? service[n] : '-';
    if (out[0] == '.') out[0] = '-';
    out[n] = '\0';
}

static wb_status resolve_name(const char *chosen, wb_paths *out, wb_error *err)
{
    const char *name = chosen ? chosen : env("WAYBILL_NAME");
    if (!name && env("OTEL_SERVICE_NAME")) {
        name_from_service(env("OTEL_SERVICE_NAME"), out->name);
        return WB_OK;
    }
    if (!name) name = "default";
    if (!wb_name_is_valid(wb_slice_str(name)))
        return wb_fail(err, WB_ERR_CONFIG,
                       "a name has 1 to %d of A-Z a-z 0-9 . _ - and no dot in front", WB_NAME_MAX);
    memcpy(out->name, name, strlen(name) + 1);
    return WB_OK;
}

static wb_status put(char out[WB_PATH_MAX], wb_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static wb_status put(char out[WB_PATH_MAX], wb_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(out, WB_PATH_MAX, fmt, args);
    va_end(args);
    if (len < 0 || len >= WB_PATH_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "path longer than %d bytes: %.60s...", WB_PATH_MAX - 1,
                       out);
    return WB_OK;
}

/* WAYBILL_SOCKET, unless it is known to be another instance's: below `waybill run` both variables name its
 * sidecar, and --name may ask for another one. */
static const char *chosen_socket(const char *chosen_name)
{
    const char *of = env("WAYBILL_NAME");
    bool of_another = chosen_name && of && strcmp(chosen_name, of) != 0;
    return of_another ? NULL : env("WAYBILL_SOCKET");
}

static wb_status resolve_run(const char *chosen_name, wb_paths *out, wb_error *err)
{
    const char *runtime = env_dir("XDG_RUNTIME_DIR");
    const char *socket = chosen_socket(chosen_name);
    WB_TRY(put(out->run_dir, err, "%s/waybill/%s", runtime ? runtime : "/run", out->name));
    WB_TRY(put(out->status_file, err, "%s/status.json", out->run_dir));
    if (socket)
        WB_TRY(put(out->socket, err, "%s", socket));
    else
        WB_TRY(put(out->socket, err, "%s/ipc.sock", out->run_dir));
    struct sockaddr_un address;
    if (strlen(out->socket) >= sizeof address.sun_path)
        return wb_fail(err, WB_ERR_CONFIG, "a socket's path has at most %zu bytes: %.80s",
                       sizeof address.sun_path - 1, out->socket);
    return WB_OK;
}

/* $xdg/waybill/leaf, else /var/lib/waybill/leaf for root, else $HOME/home_part/waybill/leaf */
static wb_status resolve_home(char out[WB_PATH_MAX], const char *xdg, const char *home_part,
                              const char *leaf, wb_error *err)
{
    if (env_dir(xdg)) return put(out, err, "%s/waybill/%s", env_dir(xdg), leaf);
    if (geteuid() == 0) return put(out, err, "/var/lib/waybill/%s", leaf);
    if (!env_dir("HOME"))
        return wb_fail(err, WB_ERR_CONFIG, "neither %s nor HOME is set to an absolute path", xdg);
    return put(out, err, "%s/%s/waybill/%s", env_dir("HOME"), home_part, leaf);
}

static wb_status resolve_state(const char *chosen, wb_paths *out, wb_error *err)
{
    if (chosen)
        WB_TRY(put(out->state_dir, err, "%s", chosen));
    else
        WB_TRY(resolve_home(out->state_dir, "XDG_STATE_HOME", ".local/state", out->name, err));
    WB_TRY(put(out->journal_dir, err, "%s/journal", out->state_dir));
    WB_TRY(put(out->keys_dir, err, "%s/keys", out->state_dir));
    return put(out->trust_dir, err, "%s/trust.d", out->state_dir);
}

wb_status wb_paths_resolve_run(const wb_paths_choice *choice, wb_paths *out, wb_error *err)
{
    wb_paths paths = {0};
    const char *name = choice ? choice->name : NULL;
    WB_TRY(resolve_name(name, &paths, err));
    WB_TRY(resolve_run(name, &paths, err));
    *out = paths;
    return WB_OK;
}

wb_status wb_paths_resolve(const wb_paths_choice *choice, wb_paths *out, wb_error *err)
{
    static const wb_paths_choice nothing;
    if (!choice) choice = &nothing;
    wb_paths paths;
    WB_TRY(wb_paths_resolve_run(choice, &paths, err));
    WB_TRY(resolve_state(choice->state_dir ? choice->state_dir : env("WAYBILL_STATE_DIR"), &paths,
                         err));
    /* the second is the daemon's key store.sqlite.path, which the command line must follow */
    const char *store = choice->store          ? choice->store
                        : env("WAYBILL_STORE") ? env("WAYBILL_STORE")
                                               : env("WAYBILL_STORE_SQLITE_PATH");
    if (store)
        WB_TRY(put(paths.store, err, "%s", store));
    else
        WB_TRY(resolve_home(paths.store, "XDG_DATA_HOME", ".local/share", "store.db", err));
    *out = paths;
    return WB_OK;
}

wb_status wb_make_dirs(const char *dir, wb_error *err)
{
    char path[WB_PATH_MAX];
    WB_TRY(put(path, err, "%s", dir));
    if (path[0] == '\0') return wb_fail(err, WB_ERR_CONFIG, "a directory's path is empty");
    for (char *slash = path + 1;; slash++) {
        if (*slash != '/' && *slash != '\0') continue;
        char kept = *slash;
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return wb_fail_errno(err, WB_ERR_CONFIG, errno, "cannot make directory %.100s", path);
        if (kept == '\0') break;
        *slash = kept;
    }
    struct stat st;
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return wb_fail(err, WB_ERR_CONFIG, "not a directory: %.120s", dir);
    return WB_OK;
}
