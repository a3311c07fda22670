/* SPDX-License-Identifier: Apache-2.0 */
/* A sidecar holds to its revocations when the list is gone from disk (docs/design/reload.md), so what
 * stands on disk is then not what is in force. A command that made a new list would lift all of the old
 * one, since for the sidecar that is a list like any other. */
#include "cli/probe.h"
#include "cli/trust.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

wb_trust_held wb_cli_trust_held(const wb_cli *cli, uint64_t *n)
{
    wb_probe probe;
    *n = 0;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return WB_TRUST_HELD_UNKNOWN;
    wb_probe_sidecar(cli, arena, &probe);
    if (!wb_probe_keeps(&probe, cli->paths.state_dir)) return WB_TRUST_HELD_NOTHING;
    if (probe.result == WB_PROBE_SILENT) return WB_TRUST_HELD_UNKNOWN;
    if (probe.result != WB_PROBE_ANSWERS) return WB_TRUST_HELD_NOTHING;
    *n = wb_report_number(wb_report_object(probe.report, "trust"), "revocations");
    return *n > 0 ? WB_TRUST_HELD_SOME : WB_TRUST_HELD_NOTHING;
}
