/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc_tls.h: the bytes of one connection, plain or through TLS (GnuTLS), with the
 * same calls for both. One thread. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_TLS_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_TLS_H

#include "sidecar/receivers/otlp/grpc.h"

#include <sys/types.h>

/* What all connections share; immutable. */
typedef struct wb_grpc_tls wb_grpc_tls;

/** Errors  CONFIG what is not PEM, or a key of another certificate | NO_MEMORY */
WB_MUST_USE wb_status wb_grpc_tls_new(const wb_otlp_grpc_tls *pem, wb_grpc_tls **out,
                                      wb_error *err);
void wb_grpc_tls_free(wb_grpc_tls *tls); /* NULL is fine */

/* Embedded. */
typedef struct wb_grpc_io {
    int fd;
    struct gnutls_session_int *session; /* NULL: plain */
    bool is_open;                       /* the handshake is done, or there is none */
    bool is_verified;                   /* the client showed a certificate that is vouched for */
} wb_grpc_io;

enum {
    WB_GRPC_IO_AGAIN = -1, /* nothing now: wait for the socket */
    WB_GRPC_IO_LOST = -2,  /* an error, or what is not our protocol: close it */
};

/** Takes `fd`. tls  NULL: plain. NO_MEMORY: it is closed */
WB_MUST_USE wb_status wb_grpc_io_open(const wb_grpc_tls *tls, int fd, wb_grpc_io *out);
/** Go on with the handshake: 0 once it is done, else one of the above. */
WB_MUST_USE int wb_grpc_io_handshake(wb_grpc_io *io);
/** The last AGAIN of the handshake waits for room to write. */
bool wb_grpc_io_wants_write(const wb_grpc_io *io);
/** Read: bytes, 0 at the end, or one of the above. */
WB_MUST_USE ssize_t wb_grpc_io_read(wb_grpc_io *io, void *to, size_t len);
/** Write some; after AGAIN the next call must begin with the same bytes. */
WB_MUST_USE ssize_t wb_grpc_io_write(wb_grpc_io *io, const void *from, size_t len);
/** Bytes were read from the socket and not handed out: it will not say so again. */
bool wb_grpc_io_has_more(const wb_grpc_io *io);
/** Nothing more will be written. */
void wb_grpc_io_end(wb_grpc_io *io);
void wb_grpc_io_close(wb_grpc_io *io);

#endif
