/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/rehome.h: the trace of our own that stands for one that a caller only claims.
 * docs/design/rehoming.md; DESIGN section 2. Immutable once open: any thread may ask. */
#ifndef WAYBILL_PROPAGATION_REHOME_H
#define WAYBILL_PROPAGATION_REHOME_H

#include "core/ids.h"
#include "core/status.h"

#define WB_REHOME_FILE "rehome.key"

typedef struct wb_rehome wb_rehome;

/** Read `dir`/rehome.key, or make it (random, 0600, durable) if it is not there.
 *  Errors  CONFIG the file is not ours alone, or damaged: remove it for a new one | UNAVAILABLE it
 *          cannot be written, or its memory not locked | NO_MEMORY */
WB_MUST_USE wb_status wb_rehome_open(const char *dir, wb_rehome **out, wb_error *err);
void wb_rehome_free(wb_rehome *rehome);
WB_DEFINE_AUTO(wb_rehome)

/** The first 16 bytes of a keyed hash of `claimed`: the same for ever, and nobody without the secret
 *  can tell which trace stands for which, or make one of them. Never absent. */
wb_trace_id wb_rehome_trace(const wb_rehome *rehome, const wb_trace_id *claimed);

enum { WB_REHOME_PSEUDONYM_LEN = 16 };
/** What stands for `bytes` where they may not: a keyed hash as above, of another kind. */
void wb_rehome_pseudonym(const wb_rehome *rehome, wb_slice bytes,
                         uint8_t out[WB_REHOME_PSEUDONYM_LEN]);

#endif
