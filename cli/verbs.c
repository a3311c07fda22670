/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line consists of, as data: the families of verbs, the global options, the exit codes.
 * main.c runs it; help, manual, reference and shell completion tell of it. */
#include "cli/cli.h"

const wb_family wb_cli_families[] = {
    {wb_run_verbs, "Run commands in spans"},
    {wb_trace_verbs, "Look at traces over all agents"},
    {wb_tail_verbs, NULL},
    {wb_delegations_verbs, NULL},
    {wb_agents_verbs, NULL},
    {wb_status_verbs, NULL},
    {wb_top_verbs, NULL},
    {wb_reload_verbs, NULL},
    {wb_exporter_verbs, "Manage the ways out of the journal"},
    {wb_doctor_verbs, NULL},
    {wb_key_verbs, "Manage this instance's signing keys"},
    {wb_trust_verbs, "Say whose keys are believed"},
    {wb_token_verbs, "Look at delegation tokens and at why they were refused"},
    {0},
};

const wb_option wb_cli_no_options[] = {{0}};

const wb_option wb_cli_globals[] = {
    {.name = "--json",
     WB_INTO_FLAG(wb_globals, json),
     .help = "print JSON instead of text: one value, or one a line where the verb says so"},
    {.name = "--name",
     .value = "NAME",
     WB_INTO_TEXT(wb_globals, name),
     .help = "the sidecar's name (WAYBILL_NAME, OTEL_SERVICE_NAME, default)"},
    {.name = "--state-dir",
     .value = "DIR",
     WB_INTO_TEXT(wb_globals, state_dir),
     .hint = WB_HINT_DIR,
     .help = "its state directory (WAYBILL_STATE_DIR)"},
    {.name = "--store",
     .value = "PATH",
     WB_INTO_TEXT(wb_globals, store),
     .hint = WB_HINT_FILE,
     .help = "the SQLite store to read (WAYBILL_STORE)"},
    {.name = "--color",
     .value = "WHEN",
     WB_INTO_TEXT(wb_globals, color),
     .choices = "auto|always|never",
     .fallback = "auto",
     .help = "colour the output"},
    {.name = "--help",
     .also = "-h",
     WB_INTO_FLAG(wb_globals, help),
     .help = "say what a verb does and takes"},
    {.name = "--version", WB_INTO_FLAG(wb_globals, version), .help = "say the version"},
    {0},
};

const wb_exit_text wb_exit_texts[] = {
    {WB_EXIT_OK, "yes, done"},
    {WB_EXIT_NO, "no: not found, refused, unhealthy"},
    {WB_EXIT_USAGE, "the command line is wrong"},
    {WB_EXIT_FAILURE, "could not find out: no store, no file, no permission, no memory, no sidecar "
                      "to ask"},
    {WB_EXIT_NOT_IN_FORCE, "done on disk, but the running sidecar could not be asked to reload, or "
                           "left files out"},
    {.text = NULL},
};
