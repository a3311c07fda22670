/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/trouble.h: is a sidecar well, and if not, why, and what ends it. All of it from any thread. */
#ifndef WAYBILL_SIDECAR_TROUBLE_H
#define WAYBILL_SIDECAR_TROUBLE_H

#include "sidecar/sidecar.h"

enum { WB_TROUBLE_TEXT = 512 };
typedef enum wb_trouble {
    WB_TROUBLE_NONE,   /* requests are taken and kept */
    WB_TROUBLE_PASSES, /* some are refused, and it ends by itself: nobody need do anything */
    WB_TROUBLE_STAYS,  /* they are refused until its cause is gone */
} wb_trouble;
/** Unless NONE, `text` says what is refused and why, who holds it up, and what to do. */
wb_trouble wb_sidecar_trouble(wb_sidecar *sidecar, char text[WB_TROUBLE_TEXT]);

/** It works, but not as its files say, or delivers not everything, or to a place that is closed to it, or
 *  verifies no token. */
bool wb_sidecar_is_degraded(wb_sidecar *sidecar, const wb_world *world);

/** Until when no token that is made now will pass, since the journal lost which were used (TOKENS section
 *  11): Unix seconds; 0: they pass. */
uint64_t wb_sidecar_recovering_until(wb_sidecar *sidecar, const wb_world *world);

#endif
