/* SPDX-License-Identifier: Apache-2.0 */
/* The options of waybilld, its --help and its manual page, all from the same tables; the keys of the
 * configuration come from theirs (sidecar/config.c). */
#include "sidecar/command_line.h"

#include "core/manual.h"
#include "sidecar/config.h"

#include <stdio.h>
#include <stdlib.h>

static const wb_option options[] = {
    {.name = "--name",
     .value = "NAME",
     WB_INTO_TEXT(wb_command_line, name),
     .help = "the instance (WAYBILL_NAME, OTEL_SERVICE_NAME, default)"},
    {.name = "--config",
     .value = "FILE",
     WB_INTO_TEXT(wb_command_line, config_path),
     .hint = WB_HINT_FILE,
     .help = "YAML; every key is also a WAYBILL_* variable (WAYBILL_CONFIG)"},
    {.name = "--check",
     WB_INTO_FLAG(wb_command_line, check),
     .help = "say what would be in force, as YAML, and exit"},
    {.name = "--print-config-reference",
     WB_INTO_FLAG(wb_command_line, reference),
     .help = "every key with default, range and meaning, as Markdown"},
    {.name = "--print-metrics-reference",
     WB_INTO_FLAG(wb_command_line, metrics),
     .help = "every metric of /metrics with its meaning, as Markdown"},
    {.name = "--print-manual",
     WB_INTO_FLAG(wb_command_line, manual),
     .help = "the page waybilld(8) for man"},
    {.name = "--version", WB_INTO_FLAG(wb_command_line, version), .help = "say the version"},
    {.name = "--help", WB_INTO_FLAG(wb_command_line, help), .help = "say this"},
    {0},
};

static const char about[] =
    "The Waybill sidecar of one agent, in the foreground. Without options it runs on defaults: "
    "makes "
    "a key at its first start, listens on a Unix socket in its run directory, writes to an SQLite "
    "store.\n";

static const wb_term signals[] = {
    {"SIGHUP", "Read keys, trust and configuration again. A broken file leaves what was in force."},
    {"SIGTERM, SIGINT", "Deliver what is left, then exit 0. A second one ends it at once; all that "
                        "was acknowledged is safe."},
    {0},
};

static const wb_term exits[] = {
    {"0", "Drained."},
    {"1", "Could not start, or could not go on."},
    {"2", "Wrong command line."},
    {"78", "A person must change something: configuration, a file's mode, a journal of a newer "
           "version."},
    {"128 + signal", "Ended by a second signal, as a shell says it."},
    {0},
};

static const wb_term variables[] = {
    {"WAYBILL_NAME, OTEL_SERVICE_NAME", "The instance, unless `--name` says it."},
    {"WAYBILL_CONFIG", "The configuration file, unless `--config` says it."},
    {"WAYBILL_SOCKET", "The path of the socket, instead of ipc.sock in the run directory."},
    {"XDG_RUNTIME_DIR, XDG_STATE_HOME, XDG_DATA_HOME",
     "Where run directory, state directory and store are; see FILES."},
    {"WAYBILL_*", "Every key below: WAYBILL_JOURNAL_LIMIT_BYTES is `journal.limit_bytes`."},
    {0},
};

static const wb_term files[] = {
    {"$XDG_RUNTIME_DIR/waybill/NAME", "The run directory, else /run/waybill/NAME: ipc.sock, and "
                                      "status.json while it runs."},
    {"$XDG_STATE_HOME/waybill/NAME",
     "The state directory, for root /var/lib/waybill/NAME: journal, keys, trust.d, refusals.ring."},
    {"$XDG_DATA_HOME/waybill/store.db",
     "The store, for root /var/lib/waybill/store.db; all sidecars of a user share it."},
    {0},
};

wb_status wb_command_line_read(int argc, char **argv, wb_command_line *out, wb_error *err)
{
    const wb_option_table table = {options, out};
    wb_options_reset(&table);
    WB_TRY(wb_options_parse(&table, 1, argc, argv, err));
    if (!out->config_path)
        out->config_path = getenv("WAYBILL_CONFIG"); /* NOLINT(concurrency-mt-unsafe): one thread */
    return WB_OK;
}

/* ---- --help --------------------------------------------------------------------------------- */

wb_status wb_command_line_help(wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "Usage: waybilld [options]\n\n"));
    WB_TRY(wb_prose_print(about, out));
    WB_TRY(wb_buffer_printf(out, "\n"));
    WB_TRY(wb_options_print(options, out));
    WB_TRY(wb_buffer_printf(out, "\nSignals:\n"));
    WB_TRY(wb_terms_print(signals, out));
    WB_TRY(wb_buffer_printf(out, "\nExit codes:\n"));
    return wb_terms_print(exits, out);
}

/* ---- waybilld(8) ---------------------------------------------------------------------------- */

static wb_status manual_terms(const char *title, const wb_term *terms, wb_buffer *out)
{
    WB_TRY(wb_manual_heading(title, out));
    return wb_manual_terms(terms, out);
}

wb_status wb_command_line_manual(wb_buffer *out)
{
    WB_TRY(wb_manual_begin("waybilld", 8, "the Waybill sidecar of one agent", out));
    WB_TRY(wb_manual_heading("SYNOPSIS", out));
    WB_TRY(wb_manual_synopsis("waybilld", options, out));
    WB_TRY(wb_manual_heading("DESCRIPTION", out));
    WB_TRY(wb_manual_prose(about, out));
    WB_TRY(wb_manual_heading("OPTIONS", out));
    WB_TRY(wb_manual_options(options, out));
    WB_TRY(manual_terms("SIGNALS", signals, out));
    WB_TRY(manual_terms("EXIT STATUS", exits, out));
    WB_TRY(manual_terms("ENVIRONMENT", variables, out));
    WB_TRY(manual_terms("FILES", files, out));
    WB_TRY(wb_manual_heading("CONFIGURATION", out));
    WB_TRY(wb_manual_prose("The keys of the configuration file. A dot is a level of the YAML. Keys "
                           "marked (reload) are taken over by a reload, the others by a start.\n",
                           out));
    WB_TRY(wb_manual_keys(&wb_sidecar_config_table, out));
    WB_TRY(wb_manual_heading("SEE ALSO", out));
    return wb_manual_reference("waybill", 1, "", out);
}
