/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/retired.h: the public halves of keys that sign no more, keys/retired/<kid>.pub. Within
 * propagation only. TOKENS section 13; one line each:
 *
 *     waybill-pk-v1:<kid>:<b64url x>:<wb_nbf>:<wb_exp> LF
 */
#ifndef WAYBILL_PROPAGATION_RETIRED_H
#define WAYBILL_PROPAGATION_RETIRED_H

#include "propagation/trust.h"

#define WB_RETIRED_DIR "retired"
enum {
    WB_RETIRED_MAX =
        WB_TRUST_KEYS_MAX - 2, /* with current and next as many as a trust file takes */
    WB_RETIRED_LINE_MAX = 160, /* the longest line, its line feed and a NUL */
};

/** Read one line, with or without its line feed: exactly the form above, numbers as in TOKENS section 3,
 *  x a point of the prime-order subgroup, the kid its thumbprint. MALFORMED for all else. */
WB_MUST_USE wb_status wb_retired_parse(wb_slice line, wb_trust_key *out);
/** Write one, with line feed and NUL; returns its length without the NUL. `key`'s window is given. */
size_t wb_retired_format(const wb_trust_key *key, char out[WB_RETIRED_LINE_MAX]);

/** Every *.pub of `keys_dir`/retired, the one that ended last first. No such folder: none.
 *  newest_s  raised to the time of the folder's and the files' last change
 *  Errors    CONFIG a file as wb_laid_file_get refuses it, one that is no such line or has another
 *            key's name, or more than WB_RETIRED_MAX | NO_MEMORY */
WB_MUST_USE wb_status wb_retired_load(const char *keys_dir, wb_trust_key out[WB_RETIRED_MAX],
                                      size_t *n, uint64_t *newest_s, wb_error *err);

/** Lay `key` down durably, in place of what was said of it before; the folder is made if missing.
 *  Errors  CONFIG the folder is open to others | UNAVAILABLE writing failed */
WB_MUST_USE wb_status wb_retired_put(const char *keys_dir, const wb_trust_key *key, wb_error *err);

/** Remove it durably. Errors NOT_FOUND | UNAVAILABLE */
WB_MUST_USE wb_status wb_retired_drop(const char *keys_dir, const char *kid, wb_error *err);

#endif
