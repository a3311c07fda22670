/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/status_report.h: the report of a sidecar, and the file by which others find it. */
#ifndef WAYBILL_SIDECAR_STATUS_REPORT_H
#define WAYBILL_SIDECAR_STATUS_REPORT_H

#include "core/paths.h"
#include "sidecar/sidecar.h"

/** All of it as one JSON object, unformatted; free() it. NULL when memory is out. Any thread.
 *  with_policies  also who is treated how: for those who are let in to the socket */
WB_MUST_USE char *wb_status_report(wb_sidecar *sidecar, bool with_policies);

/** Write run_dir/status.json (0600, replaced by rename): how others find this process.
 *  Errors  UNAVAILABLE it cannot be written */
WB_MUST_USE wb_status wb_status_file_write(const wb_sidecar *sidecar, const wb_paths *paths,
                                           uint16_t admin_port, wb_error *err);

#endif
