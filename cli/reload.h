/* SPDX-License-Identifier: Apache-2.0 */
/* cli/reload.h: have a running sidecar read its files again. */
#ifndef WAYBILL_CLI_RELOAD_H
#define WAYBILL_CLI_RELOAD_H

#include "cli/cli.h"

/** After a verb that changed keys or trust: ask the sidecar of this name, if one runs, to reload, and say
 *  on standard error whether the change is in force.
 *  code  what the verb ends with if it is, or if no sidecar runs
 *  Returns that, or WB_EXIT_NOT_IN_FORCE in place of WB_EXIT_OK: it could not be asked, or left files out. */
WB_MUST_USE wb_exit wb_cli_reload_after(const wb_cli *cli, wb_exit code);

#endif
