/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/certificate.h: certificates of the receivers and of their clients. Private to this
 * folder and to sidecar/otlp.c. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_CERTIFICATE_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_CERTIFICATE_H

#include "core/clock.h"
#include "core/slice.h"
#include "core/status.h"

struct gnutls_session_int;

/** Did the client show a certificate that the session's authorities vouch for, in its time, and that is one of
 *  a client: without a purpose, or with that of clients (RFC 5280 section 4.2.1.12)? */
bool wb_tls_client_is_vouched_for(struct gnutls_session_int *session);

/** When a certificate is valid; both 0: unknown. */
typedef struct wb_tls_dates {
    wb_time_ns not_before_ns, not_after_ns;
} wb_tls_dates;

/** The dates of the first certificate in `pem`. Errors  CONFIG there is none | NO_MEMORY */
WB_MUST_USE wb_status wb_tls_dates_read(wb_slice pem, wb_tls_dates *out, wb_error *err);

typedef enum wb_tls_validity { WB_TLS_VALID, WB_TLS_NOT_YET, WB_TLS_EXPIRED } wb_tls_validity;
wb_tls_validity wb_tls_validity_at(const wb_tls_dates *dates, wb_time_ns now);

#endif
