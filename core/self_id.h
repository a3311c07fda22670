/* SPDX-License-Identifier: Apache-2.0 */
/* core/self_id.h: the agent id of an instance that was given none. */
#ifndef WAYBILL_CORE_SELF_ID_H
#define WAYBILL_CORE_SELF_ID_H

#include "core/status.h"

enum { WB_SELF_ID_MAX = 255 };

/** spiffe://waybill.local/HOSTNAME/NAME in lower case; bytes of either that an id may not have become
 *  '-'. Cut at WB_SELF_ID_MAX. The daemon and the command line use this one, so they agree. */
void wb_self_id_default(const char *name, char out[WB_SELF_ID_MAX + 1]);

#endif
