/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secret_spots.h: where in any bytes a secret may be, found fast enough for all that arrives. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRET_SPOTS_H
#define WAYBILL_SIDECAR_PIPELINE_SECRET_SPOTS_H

#include "core/slice.h"

enum { WB_SPOT_RUN = 16 };

/** A place that somebody must look at. */
typedef struct wb_spot {
    uint32_t at : 31;
    /* A word of letters, digits, `-` and `_` starts here, and with `+` and `/` it is WB_SPOT_RUN bytes long or longer.
     * Else: three letters of a word that names secrets, or of what surrounds them, in any case. */
    uint32_t is_run : 1;
} wb_spot;

/** The spots at or behind `*from`, in their order, up to `max` of them (at least 128); *from is where to go on, and
 *  bytes.len at the end. `bytes` are fewer than 2^31. Pure. */
size_t wb_spots_find(wb_slice bytes, size_t *from, wb_spot *out, size_t max);

typedef enum wb_spots_way { WB_SPOTS_BY_BYTE, WB_SPOTS_BY_32, WB_SPOTS_BY_64 } wb_spots_way;

/** The same, with as many bytes at once; fewer, if the processor cannot. For tests. */
size_t wb_spots_find_by(wb_spots_way way, wb_slice bytes, size_t *from, wb_spot *out, size_t max);

#endif
