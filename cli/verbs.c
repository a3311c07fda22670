/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line consists of, as data: the families of verbs, the global options, the exit codes.
 * main.c runs it; help, manual, reference and shell completion tell of it. */
#include "cli/cli.h"

const wb_family wb_cli_families[] = {
    {wb_run_verbs, "Run commands in spans"},
    {wb_trace_verbs, "Look at traces over all agents"},
    {wb_tail_verbs, NULL},
    {wb_logs_verbs, NULL},
    {wb_delegations_verbs, NULL},
    {wb_agents_verbs, NULL},
    {wb_status_verbs, NULL},
    {wb_top_verbs, NULL},
    {wb_reload_verbs, NULL},
    {wb_exporter_verbs, "Manage the ways out of the journal"},
    {wb_store_verbs, "Make, migrate and prune a store"},
    {wb_doctor_verbs, NULL},
    {wb_key_verbs, "Manage this instance's signing keys"},
    {wb_trust_verbs, "Say whose keys are believed"},
    {wb_token_verbs, "Look at delegation tokens and at why they were refused"},
    {wb_manual_verbs, NULL},
    {wb_completion_verbs, NULL},
    {0},
};

const char wb_cli_about[] = "Administers the Waybill sidecars of this machine and shows what they "
                            "keep: keys, trust, tokens, "
                            "traces and delegations. `trace` and `delegations` read the store and "
                            "need no sidecar; `status` "
                            "and `doctor` ask the running sidecar on its admin endpoint, `reload` "
                            "and `trust policy` on its "
                            "socket.\n";

const wb_option wb_cli_no_options[] = {{0}};

const wb_option wb_cli_globals[] = {
    {.name = "--json",
     WB_INTO_FLAG(wb_globals, json),
     .help = "print JSON instead of text: one value, or one a line where the verb says so"},
    {.name = "--name",
     .value = "NAME",
     WB_INTO_TEXT(wb_globals, name),
     .hint = WB_HINT_INSTANCE,
     .help = "the sidecar's name (WAYBILL_NAME, OTEL_SERVICE_NAME, default)"},
    {.name = "--state-dir",
     .value = "DIR",
     WB_INTO_TEXT(wb_globals, state_dir),
     .hint = WB_HINT_DIR,
     .help = "its state directory (WAYBILL_STATE_DIR)"},
    {.name = "--store",
     .value = "STORE",
     WB_INTO_TEXT(wb_globals, store),
     .hint = WB_HINT_FILE,
     .help = "the store: a file of SQLite or a postgres:// URL (WAYBILL_STORE)"},
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

const wb_term wb_cli_exits[] = {
    [WB_EXIT_OK] = {"0", "yes, done"},
    [WB_EXIT_NO] = {"1", "no: not found, refused, unhealthy"},
    [WB_EXIT_USAGE] = {"2", "the command line is wrong"},
    [WB_EXIT_FAILURE] = {"3", "could not find out: no store, no file, no permission, no memory; no "
                              "sidecar to ask (`status` and `doctor` say 1: that is their answer)"},
    [WB_EXIT_NOT_IN_FORCE] = {"4", "done on disk, but the running sidecar could not be asked to "
                                   "reload, or left files out"},
    {0},
};

const wb_term wb_cli_variables[] = {
    {"WAYBILL_NAME", "the sidecar's name, unless `--name` says it"},
    {"OTEL_SERVICE_NAME", "the same where WAYBILL_NAME is not set"},
    {"WAYBILL_STATE_DIR", "the state directory, unless `--state-dir` says it"},
    {"WAYBILL_STORE", "the store, unless `--store` says it"},
    {"WAYBILL_SOCKET", "the socket of the sidecar, instead of ipc.sock in its run directory"},
    {"XDG_RUNTIME_DIR", "above run directories; see the files"},
    {"XDG_STATE_HOME", "above state directories"},
    {"XDG_DATA_HOME", "above the store"},
    {"NO_COLOR", "no colours unless `--color always` asks for them"},
    {0},
};

const wb_term wb_cli_files[] = {
    {"$XDG_RUNTIME_DIR/waybill/NAME",
     "the run directory, else /run/waybill/NAME: ipc.sock and status.json of a running sidecar"},
    {"$XDG_STATE_HOME/waybill/NAME",
     "the state directory, else /var/lib/waybill/NAME (root) or ~/.local/state/waybill/NAME: "
     "journal, keys, trust.d, refusals.ring"},
    {"$XDG_DATA_HOME/waybill/store.db",
     "the store, else /var/lib/waybill/store.db (root) or ~/.local/share/waybill/store.db"},
    {0},
};
