/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/certificate.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <time.h>

bool wb_tls_client_is_vouched_for(struct gnutls_session_int *session)
{
    unsigned n = 0, faults = 0;
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    if (!gnutls_certificate_get_peers(session, &n) || n == 0) return false;
    return gnutls_certificate_verify_peers(session, &purpose, 1, &faults) == 0 && faults == 0;
}

static wb_time_ns ns_of(time_t at) { return at > 0 ? (wb_time_ns)at * WB_NS_PER_S : 0; }

wb_status wb_tls_dates_read(wb_slice pem, wb_tls_dates *out, wb_error *err)
{
    const gnutls_datum_t text = {.data = (unsigned char *)pem.ptr, .size = (unsigned)pem.len};
    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return wb_fail(err, WB_ERR_NO_MEMORY, "otlp.tls.cert_file");
    int rv = gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
    if (rv >= 0)
        *out = (wb_tls_dates){ns_of(gnutls_x509_crt_get_activation_time(certificate)),
                              ns_of(gnutls_x509_crt_get_expiration_time(certificate))};
    gnutls_x509_crt_deinit(certificate);
    if (rv >= 0) return WB_OK;
    return wb_fail(err, rv == GNUTLS_E_MEMORY_ERROR ? WB_ERR_NO_MEMORY : WB_ERR_CONFIG,
                   "otlp.tls.cert_file: %s", gnutls_strerror(rv));
}

wb_tls_validity wb_tls_validity_at(const wb_tls_dates *dates, wb_time_ns now)
{
    if (dates->not_before_ns > now) return WB_TLS_NOT_YET;
    return dates->not_after_ns > 0 && dates->not_after_ns < now ? WB_TLS_EXPIRED : WB_TLS_VALID;
}
