/* SPDX-License-Identifier: Apache-2.0 */
/* cli/reload.h: have a running sidecar read its files again. */
#ifndef WAYBILL_CLI_RELOAD_H
#define WAYBILL_CLI_RELOAD_H

#include "cli/cli.h"

/** After a verb that changed keys or trust: ask the sidecar of this name, if one runs, to reload, and say
 *  on standard error whether the change is in force. Never fails: a sidecar also looks by itself. */
void wb_cli_reload_after(const wb_cli *cli);

#endif
