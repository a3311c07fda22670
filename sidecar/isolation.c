/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory is 0700 and ours, which keeps others from what lies in it however that is set;
 * an access list (acl(5)) for somebody else would show in the group's bits. Keys or a trust directory
 * that are links to elsewhere do not have that shelter and are looked at by themselves. Who may write
 * to a directory above may rename what lies below: so may replace the state, and with it the record of
 * what was spent and replayed, though not read it. */
#include "sidecar/isolation.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct look {
    uid_t own;
    wb_isolation *out;
} look;

/* Returns false, as the checks below do once they have found something. */
static bool because(look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool because(look *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(l->out->why, sizeof l->out->why, fmt, args);
    va_end(args);
    return false;
}

static bool users_differ(look *l, const wb_access *access)
{
    if (!wb_access_is_split(access))
        return because(l, "the agent may run as the sidecar's own uid %u", (unsigned)access->own);
    for (size_t i = 0; i < access->n_allowed; i++)
        if (access->allowed[i] == 0)
            return because(l, "the agent may run as uid 0, which reads every file");
    return true;
}

/* Ours or root's, and nobody else can do to it what `refused` names. */
static bool is_closed(look *l, const char *path, mode_t refused, const char *risk)
{
    struct stat st;
    if (stat(path, &st) != 0) return because(l, "%.120s cannot be looked at", path);
    if (st.st_uid != 0 && st.st_uid != l->own)
        return because(l, "%.100s belongs to uid %u, who could %s", path, (unsigned)st.st_uid,
                       risk);
    if (st.st_mode & refused)
        return because(l, "%.100s has mode %04o: others could %s", path,
                       (unsigned)(st.st_mode & 07777), risk);
    return true;
}

/* In a sticky directory everybody may write, and nobody replace what is another's. */
static mode_t refused_above(const char *folder)
{
    struct stat st;
    return stat(folder, &st) == 0 && (st.st_mode & S_ISVTX) ? 0 : S_IWGRP | S_IWOTH;
}

/* No directory above `path`, which is absolute and without links, may be written to by others. */
static bool way_is_closed(look *l, const char *path)
{
    char above[PATH_MAX];
    (void)snprintf(above, sizeof above, "%s", path);
    for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
        *slash = '\0';
        const char *folder = slash == above ? "/" : above;
        if (!is_closed(l, folder, refused_above(folder), "replace what lies below it"))
            return false;
    }
    return true;
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

static bool state_is_closed(look *l, const wb_paths *paths)
{
    char state[PATH_MAX], real[PATH_MAX];
    const char *const parts[] = {paths->keys_dir, paths->trust_dir};
    if (!realpath(paths->state_dir, state))
        return because(l, "%.120s cannot be resolved", paths->state_dir);
    if (!is_closed(l, state, S_IRWXG | S_IRWXO, "read keys and state") || !way_is_closed(l, state))
        return false;
    for (size_t i = 0; i < WB_COUNT(parts); i++) {
        if (!realpath(parts[i], real) || is_below(real, state)) continue;
        mode_t refused = parts[i] == paths->keys_dir ? S_IRWXG | S_IRWXO : S_IWGRP | S_IWOTH;
        if (!is_closed(l, real, refused, "read or replace keys") || !way_is_closed(l, real))
            return false;
    }
    return true;
}

static bool config_is_closed(look *l, const char *path)
{
    char real[PATH_MAX];
    if (!path) return true;
    if (!realpath(path, real)) return because(l, "%.120s cannot be resolved", path);
    return is_closed(l, real, S_IWGRP | S_IWOTH, "change who is let in") && way_is_closed(l, real);
}

void wb_isolation_look(const wb_access *access, const wb_paths *paths, const char *config_path,
                       wb_isolation *out)
{
    look l = {.own = access->own, .out = out};
    *out = (wb_isolation){.mode = "none"};
    if (users_differ(&l, access) && state_is_closed(&l, paths) && config_is_closed(&l, config_path))
        out->mode = "uid";
}
