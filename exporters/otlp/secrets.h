/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/secrets.h: headers and credentials out of files. Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_SECRETS_H
#define WAYBILL_EXPORTERS_OTLP_SECRETS_H

#include "exporters/otlp/settings.h"

#include <sys/stat.h>
#include <time.h>

/** How a file looked. Zeroed: not looked at yet. */
typedef struct wb_otlp_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
} wb_otlp_stamp;

/** What the files held when they were last read. Embedded: wb_otlp_secrets_init / _done. */
typedef struct wb_otlp_secrets {
    const wb_otlp_settings *settings;
    wb_otlp_headers headers; /* of headers_file; in `arena` */
    const char *bearer;      /* "Authorization: Bearer ..."; NULL: none */
    const char *basic;       /* "user:password"; NULL: none */
    wb_slice basic_sent;     /* the same as it is sent, in base64 */
    wb_arena *arena;
    wb_otlp_stamp stamps[3];
    bool good; /* the files as stamped were read */
} wb_otlp_secrets;

void wb_otlp_secrets_init(wb_otlp_secrets *secrets, const wb_otlp_settings *settings);
void wb_otlp_secrets_done(wb_otlp_secrets *secrets);

/** Read the files again if one of them changed. On failure there are none.
 *  Errors  CONFIG a file is not there, open to others, or not what it should be | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_secrets_refresh(wb_otlp_secrets *secrets, wb_error *err);

enum { WB_OTLP_HIDDEN_MAX = 2 * (2 * WB_OTLP_HEADERS_MAX) + 4 + 16 };

/** What nobody may read of all that goes with a request to `target`: values of headers, credentials. Borrows
 *  both. The number of them. */
size_t wb_otlp_secrets_list(const wb_otlp_secrets *secrets, const wb_otlp_target *target,
                            wb_slice out[WB_OTLP_HIDDEN_MAX]);

#endif
