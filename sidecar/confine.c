/* SPDX-License-Identifier: Apache-2.0 */
/* What stays open after the start, and why:
 *
 *   to read   the state directory with keys/ and trust.d/ (also where these are links or mounts), and the
 *             directories of the configuration file and of OTLP's bearer, because a reload reads again
 *             what may have been replaced: a new file under the old name, or another target of a link
 *             /dev/urandom (SQLite), /sys/devices/system/cpu (nng counts cores), the zone of localtime
 *             what exporters that connect tell: credentials, authorities, what names are resolved by
 *   to write  journal/ and parked/, the run directory and the socket's, each store's directory (SQLite
 *             makes -wal and -shm beside the file), `sandbox_writable`
 *
 * The state directory as a whole is not writable: whoever takes the sidecar over must not be able to
 * leave a key of his in trust.d for the next start. */
#include "sidecar/confine.h"

#include "core/log.h"
#include "sidecar/exporter_kinds.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_PATHS = 256, HOWS = WB_CLOSED_REMOVED + 1 };

typedef struct path_list {
    wb_sandbox_path paths[MAX_PATHS];
    char *texts[MAX_PATHS]; /* owned */
    size_t n;
    bool no_memory;
} path_list;

/* A directory that is written to, as it was when its rule was made. */
typedef struct place {
    char *path; /* owned */
    dev_t dev;
    ino_t ino;
    bool was_there;
} place;

typedef struct wb_confinement {
    place places[MAX_PATHS];
    size_t n;
    uint64_t said;           /* refused calls that the log has; the ticking thread's */
    atomic_uintptr_t closed; /* which place is, and how: index * HOWS + wb_closed_how */
} wb_confinement;

static void add_bytes(path_list *list, const char *path, size_t len, unsigned may)
{
    char *copy = list->n < MAX_PATHS ? strndup(path, len) : NULL;
    if (!copy) {
        list->no_memory = true;
        return;
    }
    list->texts[list->n] = copy;
    list->paths[list->n++] = (wb_sandbox_path){copy, may};
}

static void add(path_list *list, const char *path, unsigned may)
{
    add_bytes(list, path, strlen(path), may);
}

static void add_folder_of(path_list *list, const char *path, unsigned may)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        add(list, ".", may);
    else
        add_bytes(list, path, slash == path ? 1 : (size_t)(slash - path), may);
}

/* To be written to: it should be there, or no rule can be made for it. */
static void add_made(path_list *list, unsigned may)
{
    wb_error err;
    const char *path = list->no_memory ? NULL : list->texts[list->n - 1];
    list->paths[list->n - 1].may = may;
    if (path && wb_make_dirs(path, &err) != WB_OK)
        WB_LOG(
            WARN, "sandbox.absent",
            "a directory that may be needed is not there: when it comes, restart, or list the one "
            "above it in sandbox_writable",
            WB_KV("path", path), WB_KV("error", (const char *)err.detail));
}

static bool is_below(const char *path, wb_slice dir)
{
    size_t len = strlen(path);
    while (dir.len > 1 && dir.ptr[dir.len - 1] == '/') dir.len--;
    return len > dir.len && memcmp(path, dir.ptr, dir.len) == 0 &&
           (path[dir.len] == '/' || dir.len == 1);
}

/* Rules can only be added up, so a store in a directory above the state's takes its lock away. */
static void add_store(path_list *list, const char *path, const char *state_dir)
{
    add_folder_of(list, path, WB_SANDBOX_WRITE);
    if (list->no_memory) return;
    add_made(list, WB_SANDBOX_WRITE);
    const char *folder = list->texts[list->n - 1];
    if (is_below(state_dir, wb_slice_str(folder)) || strcmp(state_dir, folder) == 0)
        WB_LOG(WARN, "sandbox.wide",
               "keys and trust stay writable to this process, since a store lies in a directory "
               "above them: give the store a directory of its own (store.sqlite.path)",
               WB_KV("store_dir", folder), WB_KV("state_dir", state_dir));
}

static void add_config(path_list *list, const char *path)
{
    char real[PATH_MAX];
    add_folder_of(list, path, WB_SANDBOX_READ);
    if (realpath(path, real)) add_folder_of(list, real, WB_SANDBOX_READ);
}

/* ---- exporters that connect ---- */

typedef struct needs_list {
    path_list *paths;
    wb_egress *egress;
} needs_list;

static void need_read(void *ctx, const char *path)
{
    add(((needs_list *)ctx)->paths, path, WB_SANDBOX_READ);
}

/* Another file under the name, or the target of another link: so the folders of both. */
static void need_read_new(void *ctx, const char *path)
{
    add_config(((needs_list *)ctx)->paths, path);
}

static void need_connect(void *ctx, uint16_t port)
{
    wb_egress *egress = ((needs_list *)ctx)->egress;
    egress->tcp = true;
    for (size_t i = 0; i < egress->n_ports; i++)
        if (egress->ports[i] == port) return;
    if (port == 0 || egress->n_ports == WB_EGRESS_PORTS_MAX)
        egress->any_port = true;
    else
        egress->ports[egress->n_ports++] = port;
}

static void need_connect_unix(void *ctx) { ((needs_list *)ctx)->egress->unix_sockets = true; }

static wb_status collect_needs(path_list *list, wb_sidecar *sidecar, wb_error *err)
{
    needs_list into = {list, &sidecar->sandbox.egress};
    const wb_exporter_needs needs = {.read = need_read,
                                     .read_new = need_read_new,
                                     .connect = need_connect,
                                     .connect_unix = need_connect_unix,
                                     .ctx = &into};
    return wb_exporters_tell_needs(sidecar->config, &needs, err);
}

static void collect(path_list *list, const wb_sidecar *sidecar)
{
    const wb_sidecar_config *config = sidecar->config;
    const wb_paths *paths = sidecar->paths;
    char parked[WB_PATH_MAX + 8];
    (void)snprintf(parked, sizeof parked, "%s/parked", paths->state_dir);
    add(list, "/dev/urandom", WB_SANDBOX_READ);
    add(list, "/sys/devices/system/cpu", WB_SANDBOX_READ);
    add(list, "/etc/localtime", WB_SANDBOX_READ);
    add(list, paths->state_dir, WB_SANDBOX_READ);
    add(list, paths->keys_dir, WB_SANDBOX_READ);
    add(list, paths->trust_dir, WB_SANDBOX_READ);
    if (sidecar->config_path) add_config(list, sidecar->config_path);
    if (config->otlp.bearer_file) add_config(list, config->otlp.bearer_file);
    add(list, paths->run_dir, WB_SANDBOX_WRITE | WB_SANDBOX_LISTEN);
    add_folder_of(list, paths->socket, WB_SANDBOX_WRITE | WB_SANDBOX_LISTEN);
    add(list, paths->journal_dir, WB_SANDBOX_WRITE);
    add(list, parked, WB_SANDBOX_WRITE);
    if (!list->no_memory) add_made(list, WB_SANDBOX_WRITE);
    if (config->store_type == WB_STORE_SQLITE)
        add_store(list, config->store.sqlite.path ? config->store.sqlite.path : paths->store,
                  paths->state_dir);
    for (size_t i = 0; i < config->n_exporters; i++)
        if (config->exporters[i].type == WB_EXPORTER_TYPE_SQLITE)
            add_store(list, config->exporters[i].sqlite.path, paths->state_dir);
    for (size_t i = 0; i < config->n_sandbox_writable; i++) {
        wb_slice path = config->sandbox_writable[i];
        add_bytes(list, (const char *)path.ptr, path.len, WB_SANDBOX_WRITE);
    }
}

static bool is_covered(const wb_sidecar_config *config, const char *path)
{
    for (size_t i = 0; i < config->n_sandbox_writable; i++)
        if (is_below(path, config->sandbox_writable[i])) return true;
    return false;
}

/* Remember what the rules that let us write are bound to. Takes the texts that it keeps. */
static void remember(wb_confinement *c, path_list *list, const wb_sidecar_config *config)
{
    for (size_t i = 0; i < list->n; i++) {
        struct stat st = {0};
        if (!(list->paths[i].may & WB_SANDBOX_WRITE) || is_covered(config, list->texts[i]))
            continue;
        bool there = stat(list->texts[i], &st) == 0;
        c->places[c->n++] = (place){WB_STEAL(list->texts[i]), st.st_dev, st.st_ino, there};
    }
}

wb_status wb_confine_files(wb_sidecar *sidecar, wb_error *err)
{
    if (sidecar->sandbox.wish == WB_SANDBOX_OFF) return WB_OK;
    path_list *list = calloc(1, sizeof *list);
    sidecar->confinement = calloc(1, sizeof *sidecar->confinement);
    if (!list || !sidecar->confinement) {
        free(list);
        return wb_fail(err, WB_ERR_NO_MEMORY, "sandbox");
    }
    collect(list, sidecar);
    wb_status status = collect_needs(list, sidecar, err);
    if (status == WB_OK && list->no_memory)
        status = wb_fail(err, WB_ERR_NO_MEMORY, "sandbox: no memory for its paths");
    if (status == WB_OK) status = wb_sandbox_files(&sidecar->sandbox, list->paths, list->n, err);
    if (status == WB_OK && sidecar->sandbox.files.on)
        remember(sidecar->confinement, list, sidecar->config);
    for (size_t i = 0; i < list->n; i++) free(list->texts[i]);
    free(list);
    return status;
}

static void say_missing(const wb_sandbox_part *part, const char *name)
{
    if (!part->on)
        WB_LOG(WARN, "sandbox.partial", "the process is less locked in than it could be",
               WB_KV("missing", name), WB_KV("because", part->why));
}

wb_status wb_confine_calls(wb_sidecar *sidecar, wb_error *err)
{
    wb_sandbox *sandbox = &sidecar->sandbox;
    WB_TRY(wb_sandbox_calls(sandbox, err));
    if (sandbox->wish == WB_SANDBOX_OFF) {
        WB_LOG(WARN, "sandbox.off", "the process is not locked in, as configured");
        return WB_OK;
    }
    say_missing(&sandbox->files, "landlock");
    say_missing(&sandbox->calls, "seccomp");
    if (sandbox->files.on && sandbox->calls.on)
        WB_LOG(INFO, "sandbox.on", "files and system calls are restricted from here on",
               WB_KV("landlock_abi", (uint64_t)sandbox->files.version));
    return WB_OK;
}

static void say_refused(wb_confinement *c)
{
    int last;
    char name[32];
    uint64_t refused = wb_sandbox_refused(&last);
    if (refused == c->said) return;
    wb_sandbox_call_name(last, name);
    WB_LOG(ERROR, "sandbox.refused",
           "this process asked the kernel for something that a sidecar never needs: it was taken "
           "over, or a library changed",
           WB_KV("calls", refused - c->said), WB_KV("last", (const char *)name),
           WB_KV("total", refused));
    c->said = refused;
}

/* What was there and is gone is closed too: to make it again is a write to the directory above. Put back as
 * it was, it is open again. What was never there may be meant for later. */
static wb_closed_how look_at(const place *p)
{
    struct stat st;
    if (stat(p->path, &st) != 0)
        return p->was_there && (errno == ENOENT || errno == ENOTDIR) ? WB_CLOSED_REMOVED
                                                                     : WB_CLOSED_NOT;
    bool same = p->was_there && st.st_dev == p->dev && st.st_ino == p->ino;
    return same ? WB_CLOSED_NOT : WB_CLOSED_REPLACED;
}

static uintptr_t find_closed(const wb_confinement *c)
{
    for (size_t i = 0; i < c->n; i++) {
        wb_closed_how how = look_at(&c->places[i]);
        if (how != WB_CLOSED_NOT) return i * HOWS + how;
    }
    return 0;
}

static void say_closed(wb_closed closed)
{
    if (closed.how == WB_CLOSED_REPLACED)
        WB_LOG(ERROR, "sandbox.replaced",
               "a directory was made or replaced since the start, and is closed to this process: "
               "restart it; where that happens again, list the directory above in sandbox_writable",
               WB_KV("path", closed.path));
    if (closed.how == WB_CLOSED_REMOVED)
        WB_LOG(
            ERROR, "sandbox.removed",
            "a directory was removed, and the sandbox lets this process neither make it again nor "
            "use a new one: put the same one back, or make one and restart; where that happens "
            "again, list the directory above in sandbox_writable",
            WB_KV("path", closed.path));
}

void wb_confine_tick(wb_sidecar *sidecar)
{
    wb_confinement *c = sidecar->confinement;
    if (!c) return;
    say_refused(c);
    uintptr_t closed = find_closed(c);
    if (atomic_exchange(&c->closed, closed) != closed) say_closed(wb_confine_closed(sidecar));
}

wb_closed wb_confine_closed(const wb_sidecar *sidecar)
{
    const wb_confinement *c = sidecar->confinement;
    uintptr_t closed = c ? atomic_load(&c->closed) : 0;
    wb_closed_how how = (wb_closed_how)(closed % HOWS);
    return (wb_closed){how, how == WB_CLOSED_NOT ? NULL : c->places[closed / HOWS].path};
}

void wb_confine_free(wb_sidecar *sidecar)
{
    wb_confinement *c = sidecar->confinement;
    if (!c) return;
    for (size_t i = 0; i < c->n; i++) free(c->places[i].path);
    free(c);
    sidecar->confinement = NULL;
}
