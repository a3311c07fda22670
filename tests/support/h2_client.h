/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/h2_client.h: a gRPC client that says what it is told to, also wrong things. Blocking, one
 * thread, HTTP/2 with prior knowledge on 127.0.0.1. */
#ifndef WAYBILL_TESTS_SUPPORT_H2_CLIENT_H
#define WAYBILL_TESTS_SUPPORT_H2_CLIENT_H

#include "core/slice.h"

typedef struct h2_client h2_client;

typedef struct h2_field {
    const char *name, *value;
} h2_field;

typedef struct h2_request {
    const char *path;
    wb_slice body;      /* with gRPC's prefix; stays until the answer is there */
    size_t frame_bytes; /* largest DATA frame; 0: as large as may be */
    bool stays_open;    /* never ends */
    h2_field fields[4]; /* further ones; of those with the name of a usual one only this */
} h2_request;

typedef struct h2_answer {
    bool closed;    /* the stream is; or the connection was lost */
    bool lost;      /* before the stream was closed */
    uint32_t error; /* of a RST_STREAM; 0: none, or NO_ERROR */
    int http, grpc; /* -1: not said */
    char message[800], details[500], retry_info[40];
    uint8_t body[400];
    size_t body_len;
} h2_answer;

/** NULL: nobody listens there. */
h2_client *h2_connect(uint16_t port);
/** One whose system takes hardly anything that it does not read. */
h2_client *h2_connect_narrow(uint16_t port);
void h2_close(h2_client *client);

/** Send a request (as much of it as the far side takes now); its number, below 0: that is not to be. */
int32_t h2_send(h2_client *client, const h2_request *request);
/** Give a request up: RST_STREAM. */
void h2_reset(h2_client *client, int32_t stream);
void h2_ping(h2_client *client);
/** Read and write until the stream is closed, or for so long. The answer is the client's. */
const h2_answer *h2_wait(h2_client *client, int32_t stream, int timeout_ms);
/** Until the far side has closed. False: it has not. */
bool h2_wait_closed(h2_client *client, int timeout_ms);
/** GOAWAY frames that came, the last request that the last of them names, and its error. */
unsigned h2_goaways(const h2_client *client, int32_t *last_stream, uint32_t *error);

#endif
