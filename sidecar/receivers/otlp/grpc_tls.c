/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9113 section 9.2: TLS 1.2 or newer, with the protocol agreed on by ALPN; of 1.2 only AEAD ciphers with
 * ephemeral keys, no compression and no renegotiation. Plain connections are HTTP/2 with prior knowledge
 * (section 3.3): the library refuses whatever does not begin with the client's preface. */
#include "sidecar/receivers/otlp/grpc_tls.h"

#include "sidecar/receivers/otlp/certificate.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PRIORITIES                                                                                 \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:"      \
    "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"

struct wb_grpc_tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    bool wants_clients;
};

static gnutls_datum_t datum(wb_slice s)
{
    return (gnutls_datum_t){.data = (unsigned char *)s.ptr, .size = (unsigned)s.len};
}

static wb_status failure(int rv, const char *key, wb_error *err)
{
    wb_status status = rv == GNUTLS_E_MEMORY_ERROR ? WB_ERR_NO_MEMORY : WB_ERR_CONFIG;
    return wb_fail(err, status, "%s: %s", key, gnutls_strerror(rv));
}

static wb_status load(wb_grpc_tls *tls, const wb_otlp_grpc_tls *pem, wb_error *err)
{
    gnutls_datum_t cert = datum(pem->cert), key = datum(pem->key), ca = datum(pem->client_ca);
    int rv = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (rv < 0) return failure(rv, "otlp.tls", err);
    rv = gnutls_certificate_set_x509_key_mem(tls->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (rv < 0)
        return failure(rv,
                       "otlp.tls.cert_file or otlp.tls.key_file is not PEM, or the key is another "
                       "certificate's",
                       err);
    rv = gnutls_priority_init(&tls->priorities, PRIORITIES, NULL);
    if (rv < 0) return failure(rv, "otlp.tls", err);
    tls->wants_clients = ca.size > 0;
    if (!tls->wants_clients) return WB_OK;
    rv = gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca, GNUTLS_X509_FMT_PEM);
    if (rv < 0) return failure(rv, "otlp.tls.client_ca_file is not PEM", err);
    if (rv > 0) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "otlp.tls.client_ca_file: no certificate in it");
}

wb_status wb_grpc_tls_new(const wb_otlp_grpc_tls *pem, wb_grpc_tls **out, wb_error *err)
{
    wb_grpc_tls *tls = calloc(1, sizeof *tls);
    if (!tls) return wb_fail(err, WB_ERR_NO_MEMORY, "otlp.tls");
    wb_status status = load(tls, pem, err);
    if (status == WB_OK)
        *out = tls;
    else
        wb_grpc_tls_free(tls);
    return status;
}

void wb_grpc_tls_free(wb_grpc_tls *tls)
{
    if (!tls) return;
    if (tls->priorities) gnutls_priority_deinit(tls->priorities);
    if (tls->credentials) gnutls_certificate_free_credentials(tls->credentials);
    free(tls);
}

static bool begin(const wb_grpc_tls *tls, wb_grpc_io *io)
{
    const gnutls_datum_t h2 = {.data = (unsigned char *)"h2", .size = 2};
    gnutls_session_t s;
    if (gnutls_init(&io->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
        io->session = NULL;
        return false;
    }
    s = io->session;
    if (gnutls_priority_set(s, tls->priorities) < 0 ||
        gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0 ||
        gnutls_alpn_set_protocols(s, &h2, 1, GNUTLS_ALPN_MANDATORY) < 0)
        return false;
    gnutls_handshake_set_timeout(s, GNUTLS_INDEFINITE_TIMEOUT); /* the caller's to watch */
    gnutls_transport_set_int(s, io->fd);
    if (tls->wants_clients) gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUEST);
    return true;
}

wb_status wb_grpc_io_open(const wb_grpc_tls *tls, int fd, wb_grpc_io *out)
{
    *out = (wb_grpc_io){.fd = fd, .is_open = tls == NULL};
    if (!tls || begin(tls, out)) return WB_OK;
    wb_grpc_io_close(out);
    return WB_ERR_NO_MEMORY;
}

static ssize_t verdict(ssize_t rv)
{
    bool again = rv == GNUTLS_E_AGAIN || rv == GNUTLS_E_INTERRUPTED;
    return again ? WB_GRPC_IO_AGAIN : WB_GRPC_IO_LOST;
}

/* Without ALPN (RFC 7301) a client may mean HTTP/1: GnuTLS refuses a list without h2, but not no list. */
static bool speaks_h2(gnutls_session_t session)
{
    gnutls_datum_t chosen;
    return gnutls_alpn_get_selected_protocol(session, &chosen) == 0;
}

int wb_grpc_io_handshake(wb_grpc_io *io)
{
    int rv = 0;
    if (io->is_open) return 0;
    do rv = gnutls_handshake(io->session);
    while (rv == GNUTLS_E_WARNING_ALERT_RECEIVED);
    if (rv == GNUTLS_E_AGAIN || rv == GNUTLS_E_INTERRUPTED) return WB_GRPC_IO_AGAIN;
    if (rv == 0 && !speaks_h2(io->session)) rv = GNUTLS_E_NO_APPLICATION_PROTOCOL;
    if (rv < 0) {
        (void)gnutls_alert_send_appropriate(io->session, rv); /* so that the client knows why */
        return WB_GRPC_IO_LOST;
    }
    /* None, or one that nobody here vouches for, is no failure: the request may have a bearer, or come from
     * the agent's own user. */
    io->is_verified = wb_tls_client_is_vouched_for(io->session);
    io->is_open = true;
    return 0;
}

bool wb_grpc_io_wants_write(const wb_grpc_io *io)
{
    return io->session && !io->is_open && gnutls_record_get_direction(io->session) == 1;
}

static ssize_t of_socket(ssize_t rv)
{
    if (rv >= 0) return rv;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? WB_GRPC_IO_AGAIN
                                                                     : WB_GRPC_IO_LOST;
}

ssize_t wb_grpc_io_read(wb_grpc_io *io, void *to, size_t len)
{
    if (!io->session) return of_socket(recv(io->fd, to, len, 0));
    ssize_t rv = gnutls_record_recv(io->session, to, len);
    return rv >= 0 ? rv : verdict(rv);
}

ssize_t wb_grpc_io_write(wb_grpc_io *io, const void *from, size_t len)
{
    if (!io->session) return of_socket(send(io->fd, from, len, MSG_NOSIGNAL));
    ssize_t rv = gnutls_record_send(io->session, from, len);
    return rv >= 0 ? rv : verdict(rv);
}

bool wb_grpc_io_has_more(const wb_grpc_io *io)
{
    return io->session && gnutls_record_check_pending(io->session) > 0;
}

void wb_grpc_io_end(wb_grpc_io *io)
{
    if (io->session && io->is_open) (void)gnutls_bye(io->session, GNUTLS_SHUT_WR);
    (void)shutdown(io->fd, SHUT_WR);
}

void wb_grpc_io_close(wb_grpc_io *io)
{
    if (io->session) gnutls_deinit(io->session);
    io->session = NULL;
    if (io->fd >= 0) (void)close(io->fd);
    io->fd = -1;
}
