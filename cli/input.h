/* SPDX-License-Identifier: Apache-2.0 */
/* cli/input.h: what the verbs for keys, trust and tokens are given: text, and who we are. */
#ifndef WAYBILL_CLI_INPUT_H
#define WAYBILL_CLI_INPUT_H

#include "cli/cli.h"
#include "core/arena.h"
#include "core/buffer.h"
#include "core/self_id.h"

enum { WB_INPUT_MAX_BYTES = 256 * 1024 };

/** The text that `word` stands for, white space at both ends left out: standard input for "-" or
 *  NULL, a file's content if `word` names one, else `word` itself.
 *  Errors  UNAVAILABLE cannot be read | FULL more than WB_INPUT_MAX_BYTES | NO_MEMORY */
WB_MUST_USE wb_status wb_input_read(const char *word, wb_buffer *out, wb_error *err);

/** The instance's agent id: `chosen` (may be NULL), else what the running sidecar says in its status
 *  file, else the default of its name. */
void wb_input_self_id(const wb_cli *cli, const char *chosen, char out[WB_SELF_ID_MAX + 1]);

/** WB_EXIT_OK if `id` is NULL or an agent id; else the reason was said. */
WB_MUST_USE wb_exit wb_input_agent_id(const wb_cli *cli, const char *id);

enum { WB_INPUT_IDS_MAX = 16 };

/** All agent ids of the instance, ours first: `chosen` alone if it is not NULL, else what the running
 *  sidecar says, else the default. Returns how many; their texts live in `arena`. 0: no memory. */
size_t wb_input_self_ids(const wb_cli *cli, const char *chosen, wb_arena *arena,
                         wb_slice ids[WB_INPUT_IDS_MAX]);

/* The latest of Unix seconds that an option takes, far beyond any clock. */
#define WB_INPUT_SECONDS_MAX UINT64_C(999999999999999)

/** Keys and tokens need libsodium: initialise it and prove it. WB_EXIT_OK, or said why not. */
WB_MUST_USE wb_exit wb_input_ready(void);

#endif
