/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/ports.h: the ports that this sidecar listens on, beside each other and beside where it sends to. */
#ifndef WAYBILL_SIDECAR_PORTS_H
#define WAYBILL_SIDECAR_PORTS_H

#include "sidecar/config.h"

/** No two may listen on one port, and no exporter may send to a receiver of this very sidecar: that would be
 *  sent round for ever. What is configured so is refused; a default that is in the way gives way, as it does
 *  where another process has the port: it becomes 0, any free one. Before system calls are confined.
 *  Errors  CONFIG says which keys | NO_MEMORY */
WB_MUST_USE wb_status wb_ports_settle(wb_sidecar_config *config, wb_error *err);

/** The same once the receivers listen, with the ports that they have got; 0: does not listen. */
WB_MUST_USE wb_status wb_ports_check(const wb_sidecar_config *config, uint16_t http, uint16_t grpc,
                                     wb_error *err);

#endif
