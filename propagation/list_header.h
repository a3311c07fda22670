/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/list_header.h: the members of a header that is a list, over all the times it was sent.
 * Source: RFC 9110 sections 5.2, 5.3 and 5.6.1. Thread-safe, no memory taken. */
#ifndef WAYBILL_PROPAGATION_LIST_HEADER_H
#define WAYBILL_PROPAGATION_LIST_HEADER_H

#include "core/slice.h"

/* A walk from left to right; begin with {values, n}. Borrows the values. */
typedef struct wb_list_header {
    const wb_slice *values; /* that are still to come, in the order they were received */
    size_t n;
    wb_slice rest; /* of the value in hand */
} wb_list_header;

/** The next member that is not empty, without the white space around it; false behind the last. */
bool wb_list_header_next(wb_list_header *walk, wb_slice *out);

/** `s` without spaces and tabs at its ends, as no header's value has any. */
wb_slice wb_trim_ows(wb_slice s);

#endif
