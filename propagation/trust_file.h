/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/trust_file.h: the text of one trust file. Within propagation only. TOKENS section 13. */
#ifndef WAYBILL_PROPAGATION_TRUST_FILE_H
#define WAYBILL_PROPAGATION_TRUST_FILE_H

#include "core/arena.h"
#include "core/buffer.h"
#include "propagation/trust.h"

enum { WB_TRUST_SCRATCH_BYTES = 8 * 1024 * 1024 }; /* the JSON of 64 KiB at its worst */

/** Read one issuer, or, where the text is {"wb_bundles":[...]}, all of its issuers. What is handed out
 *  lives in `keep`; `scratch` may be reset afterwards.
 *  Errors  MALFORMED with the reason: nothing of the file counts | NO_MEMORY */
WB_MUST_USE wb_status wb_trust_file_parse(wb_slice text, wb_arena *scratch, wb_arena *keep,
                                          wb_trust_issuer **issuers, size_t *n, wb_error *err);

/** Write one issuer. NO_MEMORY the buffer's limit. */
WB_MUST_USE wb_status wb_trust_file_format(const wb_trust_issuer *issuer, wb_buffer *out);

/** The bytes of `dir_fd`/`name`, a regular file that others may not write to, into `out`; of one that is
 *  too large, one byte more than wb_trust_file_parse takes.
 *  Errors  NOT_FOUND | CONFIG not such a file | NO_MEMORY */
WB_MUST_USE wb_status wb_trust_file_get(int dir_fd, const char *name, wb_buffer *out,
                                        wb_error *err);

#endif
