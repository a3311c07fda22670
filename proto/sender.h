/* SPDX-License-Identifier: Apache-2.0 */
/* proto/sender.h: the header by which a sidecar knows requests of its own exporters. */
#ifndef WAYBILL_PROTO_SENDER_H
#define WAYBILL_PROTO_SENDER_H

/* Lower case, as HTTP/2 has names. Its value is random, made at each start: it says nothing to anybody but the
 * process that made it. */
#define WB_SENDER_HEADER "waybill-sender"

#endif
