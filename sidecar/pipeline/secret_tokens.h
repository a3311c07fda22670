/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secret_tokens.h: keys and tokens that say by their shape what they are. Pure. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRET_TOKENS_H
#define WAYBILL_SIDECAR_PIPELINE_SECRET_TOKENS_H

#include "core/slice.h"

/** A token that starts at text[at], where a word does: its bytes from *start, which lies before `at` where a
 *  service has a dot or a colon in its prefix. 0: none.
 *  open_end  more letters may follow than a token of an exact length has: what bounds the text is not known */
size_t wb_secret_token_at(wb_slice text, size_t at, bool open_end, size_t *start);

/** May wb_secret_token_at find one at text[at] or at the byte behind? Told without a branch, by a few bytes: false is
 *  sure. */
bool wb_secret_token_near(wb_slice text, size_t at);

#endif
