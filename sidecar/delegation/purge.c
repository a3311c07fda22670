/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delegation/purge.h"

#include "sidecar/delegation/row_table.h"

#include "proto/waybill/v1/journal.pb-c.h"

#include <errno.h>

bool wb_purge_takes(const wb_purge *purge, wb_time_ns ended_ns, uint64_t kept_ns)
{
    if (purge->kept_divisor > 1) kept_ns /= purge->kept_divisor;
    return ended_ns + kept_ns <= purge->now_s * WB_NS_PER_S;
}

wb_status wb_purge_unpack(wb_slice packed, wb_purge *purge, wb_error *err)
{
    errno = 0;
    Waybill__V1__PurgeRow *row = waybill__v1__purge_row__unpack(NULL, packed.len, packed.ptr);
    if (!row) return wb_row_unreadable("purge entry", packed.len, err);
    purge->now_s = row->now_s;
    purge->skew_s = row->skew_s;
    purge->kept_divisor = row->kept_divisor;
    waybill__v1__purge_row__free_unpacked(row, NULL);
    return WB_OK;
}

size_t wb_purge_pack(const wb_purge *purge, uint8_t out[32])
{
    Waybill__V1__PurgeRow row = WAYBILL__V1__PURGE_ROW__INIT;
    row.now_s = purge->now_s;
    row.skew_s = purge->skew_s;
    row.kept_divisor = purge->kept_divisor;
    return waybill__v1__purge_row__pack(&row, out);
}
