/* SPDX-License-Identifier: Apache-2.0 */
/* core/rfc3339.h: a date and time as text. Any thread. Source: RFC 3339 section 5.6. */
#ifndef WAYBILL_CORE_RFC3339_H
#define WAYBILL_CORE_RFC3339_H

#include "core/clock.h"
#include "core/slice.h"

/** `2026-11-30T12:31:51.898604Z`, or with an offset; years 1970 to 2553, up to nine digits of a second, a
 *  leap second is the next second's first. False, with *out as it was, for anything else. */
bool wb_rfc3339_parse(wb_slice text, wb_time_ns *out);

#endif
