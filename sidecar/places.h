/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/places.h: the directories of a sidecar and who may enter them (DESIGN section 7). */
#ifndef WAYBILL_SIDECAR_PLACES_H
#define WAYBILL_SIDECAR_PLACES_H

#include "core/status.h"

#include <stdbool.h>
#include <sys/types.h>

#define WB_NO_GROUP ((gid_t)-1)

/** The group of `ipc.group`, a name or number; WB_NO_GROUP for NULL. CONFIG: there is no such group. */
WB_MUST_USE wb_status wb_group_find(const char *text, gid_t *out, wb_error *err);

/** `dir` is there, made if need be, and is our user's alone: 0700. CONFIG. */
WB_MUST_USE wb_status wb_place_private(const char *dir, wb_error *err);

/** As wb_place_private, or with a group: 0750 and that group's, the directory above it open for passing
 *  through where it is ours. CONFIG also: we are not in the group. */
WB_MUST_USE wb_status wb_place_run_dir(const char *dir, gid_t group, wb_error *err);

/** The first directory above `dir` that does not let `group` pass; false: there is none. `out` holds
 *  at least strlen(dir) + 1 bytes. */
bool wb_place_blocked_at(const char *dir, gid_t group, char *out);

#endif
