/* SPDX-License-Identifier: Apache-2.0 */
/* core/paths.h: where an instance keeps its files (DESIGN section 7). The daemon and the command line
 * resolve them here, so that they cannot disagree.
 *
 *   run dir    $XDG_RUNTIME_DIR/waybill/NAME, else /run/waybill/NAME
 *   state dir  $WAYBILL_STATE_DIR, else $XDG_STATE_HOME/waybill/NAME, else for root /var/lib/waybill/NAME,
 *              else $HOME/.local/state/waybill/NAME
 *   store      $WAYBILL_STORE, $WAYBILL_STORE_SQLITE_PATH, else $XDG_DATA_HOME/waybill/store.db, else for root
 *              /var/lib/waybill/store.db, else $HOME/.local/share/waybill/store.db
 *
 * Source: XDG Base Directory Specification 0.8; a relative XDG path is ignored, as it asks. */
#ifndef WAYBILL_CORE_PATHS_H
#define WAYBILL_CORE_PATHS_H

#include "core/slice.h"
#include "core/status.h"

enum { WB_NAME_MAX = 64, WB_PATH_MAX = 512 };

/** What may be said beforehand; NULL: from the environment. */
typedef struct wb_paths_choice {
    const char *name;      /* --name */
    const char *state_dir; /* --state-dir; the instance's own directory */
    const char *store;     /* --store */
} wb_paths_choice;

typedef struct wb_paths {
    char name[WB_NAME_MAX + 1];
    char run_dir[WB_PATH_MAX];
    char socket[WB_PATH_MAX];      /* run_dir/ipc.sock, or $WAYBILL_SOCKET unless a name was chosen
                                      that is not $WAYBILL_NAME */
    char status_file[WB_PATH_MAX]; /* run_dir/status.json */
    char state_dir[WB_PATH_MAX];
    char journal_dir[WB_PATH_MAX]; /* state_dir/journal */
    char keys_dir[WB_PATH_MAX];    /* state_dir/keys (TOKENS.md section 13) */
    char trust_dir[WB_PATH_MAX];   /* state_dir/trust.d */
    char store[WB_PATH_MAX];
} wb_paths;

/** Resolve all of them; touches no file.
 *  choice   NULL: nothing is chosen. A name comes from `choice`, else WAYBILL_NAME, else
 *           OTEL_SERVICE_NAME, else "default"
 *  Errors   CONFIG  a name chosen or in WAYBILL_NAME that wb_name_is_valid refuses; a path that is too
 *           long, a socket's over 107 bytes included; neither HOME nor the XDG variable is set
 *  A service name is no path: each byte of OTEL_SERVICE_NAME that a name may not have becomes '-'. */
WB_MUST_USE wb_status wb_paths_resolve(const wb_paths_choice *choice, wb_paths *out, wb_error *err);

/** The name and the run directory's paths alone, all others "": enough to find a running sidecar, and
 *  known without HOME. Errors as above */
WB_MUST_USE wb_status wb_paths_resolve_run(const wb_paths_choice *choice, wb_paths *out,
                                           wb_error *err);

/** 1 to WB_NAME_MAX bytes of A-Z a-z 0-9 . _ - and no dot in front. */
bool wb_name_is_valid(wb_slice name);

/** Make `dir` and the missing directories above it, each 0700; one that exists stays as it is.
 *  Errors  CONFIG what stands in the way */
WB_MUST_USE wb_status wb_make_dirs(const char *dir, wb_error *err);

#endif
