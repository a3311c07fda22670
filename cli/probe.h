/* SPDX-License-Identifier: Apache-2.0 */
/* cli/probe.h: find a running sidecar by its run directory and ask it how it is. */
#ifndef WAYBILL_CLI_PROBE_H
#define WAYBILL_CLI_PROBE_H

#include "cli/cli.h"
#include "core/arena.h"
#include "core/json.h"

typedef enum wb_probe_result {
    WB_PROBE_ANSWERS, /* `report` is there */
    WB_PROBE_ABSENT,  /* no status.json: never started, or stopped in order */
    WB_PROBE_DEAD,    /* status.json of a process that is gone: it crashed or was killed */
    WB_PROBE_SILENT,  /* the process lives but does not answer */
} wb_probe_result;

typedef struct wb_probe {
    wb_probe_result result;
    char why[200]; /* in words, unless it answers */
    uint64_t pid;  /* of status.json; 0: unknown */
    char host[64]; /* of its admin endpoint */
    uint16_t port;
    wb_slice state_dir;    /* where it keeps its state; "" unknown */
    wb_slice report_text;  /* the JSON of /status */
    const wb_json *report; /* the same, read */
} wb_probe;

/** Fill `probe`; what it points at lives in `arena`. Waits two seconds for an answer. */
void wb_probe_sidecar(const wb_cli *cli, wb_arena *arena, wb_probe *probe);
/** The same with another patience. */
void wb_probe_within(const wb_cli *cli, uint32_t timeout_ms, wb_arena *arena, wb_probe *probe);

/** Is `state_dir` the directory in which that sidecar keeps its state? False where none was found. */
bool wb_probe_keeps(const wb_probe *probe, const char *state_dir);

/** wb_paths_resolve, but state and store are where the running sidecar of this name really keeps them, for
 *  they may have been configured, unless `choice` or a variable says otherwise. Where it says both, HOME
 *  is not needed. Errors as wb_paths_resolve */
WB_MUST_USE wb_status wb_probe_places(const wb_paths_choice *choice, wb_paths *paths,
                                      wb_error *err);

/** Ask for the report over the socket; the admin endpoint has the same text, where a build has one.
 *  Errors  as wb_ask (cli/ask.h) */
WB_MUST_USE wb_status wb_report_ask(const char *socket, uint32_t timeout_ms, wb_arena *arena,
                                    wb_slice *text, wb_error *err);

/** A report's text as JSON, in `arena`; NULL if it is none. */
const wb_json *wb_report_parse(wb_slice text, wb_arena *arena);

/* Members of the report; 0, "" and NULL where they are absent or of another type. */
uint64_t wb_report_number(const wb_json *object, const char *name);
wb_slice wb_report_text(const wb_json *object, const char *name);
bool wb_report_bool(const wb_json *object, const char *name);
const wb_json *wb_report_object(const wb_json *object, const char *name);

#endif
