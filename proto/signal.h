/* SPDX-License-Identifier: Apache-2.0 */
/* proto/signal.h: the three signals of OTLP that Waybill takes. */
#ifndef WAYBILL_PROTO_SIGNAL_H
#define WAYBILL_PROTO_SIGNAL_H

typedef enum wb_signal { WB_SIGNAL_TRACES, WB_SIGNAL_METRICS, WB_SIGNAL_LOGS } wb_signal;
enum { WB_SIGNALS = 3 };

#endif
