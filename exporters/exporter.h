/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/exporter.h: the interface of a way out. One table per far side, in exporters/<far side>/.
 *
 * An exporter only sends. Its runner (sidecar/delivery) selects, merges, halves a refused request,
 * parks the bad record, retries, backs off, counts and moves the cursor. One thread at a time calls
 * an exporter, not always the same one. */
#ifndef WAYBILL_EXPORTERS_EXPORTER_H
#define WAYBILL_EXPORTERS_EXPORTER_H

#include "core/config.h"
#include "core/entry.h"

/** Who exports: the same for every exporter of a sidecar. Borrowed for the life of the exporter. */
typedef struct wb_exporter_origin {
    wb_id journal_id;      /* with a record's seq and entry its name for ever */
    const char *agent_id;  /* own id, TOKENS.md section 1 */
    const char *name;      /* the instance, --name */
    const char *version;   /* of the sidecar */
    const char *isolation; /* "none" or "uid" */
    const char *mark;      /* for WB_SENDER_HEADER (proto/sender.h); NULL: none */
} wb_exporter_origin;

typedef struct wb_export_result {
    uint32_t accepted;       /* records that are durable now, or were before: repeats count */
    uint32_t rejected;       /* records that the far side dropped for good although it said yes */
    uint32_t retry_after_ms; /* it asked us to wait this long; 0: it did not say */
} wb_export_result;

/** Whom an exporter tells what it has to reach once the process is locked in. */
typedef struct wb_exporter_needs {
    void (*read)(void *ctx, const char *path);     /* a file or folder; it may not be there */
    void (*read_new)(void *ctx, const char *path); /* a file that may be replaced by another one */
    void (*connect)(void *ctx, uint16_t port);     /* TCP; 0: any port */
    void (*connect_unix)(void *ctx);               /* Unix sockets */
    /* Where telemetry of a signal goes: "traces", and a name or numeric address, IPv6 without brackets.
     * NULL: nobody wants to know. Of exporters whose far side might be this very sidecar. */
    void (*send_to)(void *ctx, const char *signal, const char *host, uint16_t port);
    void *ctx;
} wb_exporter_needs;

typedef struct wb_exporter_ops {
    const char *name; /* "sqlite"; section of the configuration */
    uint64_t takes;   /* WB_KIND_BIT of each kind that send wants to see */
    bool parts; /* send may be given a part of a record: a SPANS or MARKERS payload with some of its
                   spans, under the record's own seq and entry, the other ones in later calls. So a
                   span that is refused alone can be found. Not for those that remember what they have
                   by (seq, entry) */
    const wb_config_table *config; /* describes the struct behind open's `cfg->values` */
    /** Which of `takes` send wants to see with these settings. NULL: all of them. */
    uint64_t (*takes_of)(const wb_config_section *cfg);
    /** Once, before the first thread and before files are closed to the process. NULL: nothing to do.
     *  Errors  NO_MEMORY */
    wb_status (*prepare)(wb_error *err);
    /** Tell what an exporter with these settings reaches besides its own files. NULL: nothing.
     *  Errors  CONFIG as open | NO_MEMORY */
    wb_status (*tell_needs)(const wb_config_section *cfg, const wb_exporter_needs *needs,
                            wb_error *err);
    /** Check the settings. Does not reach out: a far side that is away must not stop the sidecar.
     *  cfg     borrowed for the life of the exporter, as is `origin`
     *  Errors  CONFIG settings that can never work | NO_MEMORY; *self is untouched */
    wb_status (*open)(const wb_config_section *cfg, const wb_exporter_origin *origin, void **self,
                      wb_error *err);
    /** Deliver `n` records, ordered by (seq, entry), none before what an earlier call took.
     *  WB_OK once the far side made all of them durable (COMMIT, HTTP 2xx), not once queued. Must be
     *  safe to repeat, whole or in part: delivery is at least once.
     *  timeout_ms  give up by then, at latest a little after
     *  result      written on every return
     *  err         with WB_OK, what the far side said all the same; empty: nothing
     *  Errors      UNAVAILABLE, TIMEOUT  the runner keeps its cursor and repeats later
     *              REJECTED  at least one of these records will never be taken: the runner halves them
     *              until it has the bad one, parks that and goes on
     *              any other is treated as UNAVAILABLE */
    wb_status (*send)(void *self, const wb_record_view *records, size_t n, uint32_t timeout_ms,
                      wb_export_result *result, wb_error *err);
    /** The process ends: a send in hand, and those to come, give up (TIMEOUT) at `until_ns` (wb_system_clock,
     *  monotonic), whatever time they were given. Any thread, beside all others. NULL: its sends are short. */
    void (*hurry)(void *self, uint64_t until_ns);
    /** There is nothing to send; called again and again until there is, from the runner's thread, at least
     *  every few seconds. Must not wait. NULL: nothing to do. */
    void (*idle)(void *self);
    /** NULL is allowed. */
    void (*close)(void *self);
} wb_exporter_ops;

#endif
