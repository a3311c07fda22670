/* SPDX-License-Identifier: Apache-2.0 */
/* cli/token.h: what `token inspect` and `token verify` share. */
#ifndef WAYBILL_CLI_TOKEN_H
#define WAYBILL_CLI_TOKEN_H

#include "cli/input.h"
#include "cli/output.h"
#include "propagation/token.h"

/* The tokens of one command line; all of it lives until wb_tokens_done. */
typedef struct wb_tokens {
    wb_arena *arena; /* owned */
    wb_buffer text;
    wb_chain chain;
} wb_tokens;

/** Read what `word` stands for (cli/input.h) and take the tokens out of it. `t` is zeroed before, and
 *  wb_tokens_done's whatever comes back; on failure the reason was said. */
WB_MUST_USE wb_exit wb_tokens_read(const char *word, wb_tokens *t);
void wb_tokens_done(wb_tokens *t);

/** Print every token: as text, or into the open array of `json` if the command line said --json.
 *  all_good  false if one has no good form, or there are none or too many
 *  Errors    NO_MEMORY */
WB_MUST_USE wb_status wb_tokens_show(const wb_cli *cli, const wb_tokens *t, wb_json_out *json,
                                     bool *all_good);

/** cli/token_verify.c */
wb_exit wb_cli_token_verify(const wb_cli *cli, const void *given);
extern const wb_option wb_token_verify_options[];

/** cli/token_why.c */
wb_exit wb_cli_token_why(const wb_cli *cli, const void *given);
extern const wb_option wb_token_why_options[];

#endif
