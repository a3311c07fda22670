/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/preview.h: a long text as a shorter one that still reads. Pure. */
#ifndef WAYBILL_SIDECAR_PIPELINE_PREVIEW_H
#define WAYBILL_SIDECAR_PIPELINE_PREVIEW_H

#include "core/slice.h"

typedef struct wb_preview_limit {
    size_t characters, bytes; /* both hold; SIZE_MAX: no limit */
} wb_preview_limit;

/* No text is longer than this allows. */
#define WB_PREVIEW_WHOLE ((wb_preview_limit){SIZE_MAX, SIZE_MAX})

enum {
    WB_PREVIEW_MORE = 2
}; /* bytes that a preview may be longer than its text: the mark of a cut has three */

typedef struct wb_preview {
    size_t len, characters; /* of the text now */
    bool was_cut;
} wb_preview;

/** Cut `text`, which is UTF-8 and has room for WB_PREVIEW_MORE bytes more, in its place. What was cut ends in U+2026.
 *  JSON stays JSON: of its beginning as much as fits, with the last text in it cut, and all brackets closed. A limit of
 *  fewer than 8 leaves nothing. */
wb_preview wb_preview_cut(uint8_t *text, size_t len, wb_preview_limit limit);

#endif
