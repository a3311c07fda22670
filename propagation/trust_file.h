/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/trust_file.h: the text of one trust file. Within propagation only. TOKENS section 13. */
#ifndef WAYBILL_PROPAGATION_TRUST_FILE_H
#define WAYBILL_PROPAGATION_TRUST_FILE_H

#include "core/arena.h"
#include "core/buffer.h"
#include "propagation/trust.h"

enum { WB_TRUST_SCRATCH_BYTES = 8 * 1024 * 1024 }; /* the JSON of 64 KiB at its worst */

typedef struct wb_trust_text {
    wb_trust_issuer *issuers;
    size_t n;       /* 1 unless it is a bundle */
    bool is_bundle; /* {"wb_bundles":[...]} */
} wb_trust_text;

/** Read one issuer, or all issuers of a bundle. What is handed out lives in `keep`; `scratch` may be
 *  reset afterwards.
 *  Errors  MALFORMED with the reason: nothing of the file counts | NO_MEMORY */
WB_MUST_USE wb_status wb_trust_file_parse(wb_slice text, wb_arena *scratch, wb_arena *keep,
                                          wb_trust_text *out, wb_error *err);

#endif
