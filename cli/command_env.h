/* SPDX-License-Identifier: Apache-2.0 */
/* cli/command_env.h: what a command below `waybill run` and `waybill exec` finds in its environment. */
#ifndef WAYBILL_CLI_COMMAND_ENV_H
#define WAYBILL_CLI_COMMAND_ENV_H

#include "cli/cli.h"

/** WAYBILL_NAME and WAYBILL_SOCKET of this instance, and OTEL_SERVICE_NAME if it is not set. */
void wb_command_env_set(const wb_cli *cli);

/** Put the folder that traces plain OpenTelemetry programs first into PYTHONPATH. False: it is not
 *  installed beside this program. */
bool wb_command_env_set_python(void);

#endif
