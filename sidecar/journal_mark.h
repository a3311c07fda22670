/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal_mark.h: which journal this instance had, so that a journal that was taken away is not
 * mistaken for a first start: with it went the replay rows. */
#ifndef WAYBILL_SIDECAR_JOURNAL_MARK_H
#define WAYBILL_SIDECAR_JOURNAL_MARK_H

#include "core/ids.h"
#include "core/status.h"

/** Compare `id` with STATE_DIR/journal.id and make the file say `id`, durably.
 *  lost    the file named another journal: its state is gone
 *  Errors  CONFIG the file cannot be read | UNAVAILABLE it cannot be written */
WB_MUST_USE wb_status wb_journal_remember(const char *state_dir, const wb_id *id, bool *lost,
                                          wb_error *err);

#endif
