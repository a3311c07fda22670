/* SPDX-License-Identifier: Apache-2.0 */
/* cli/trust.h: the verbs of `trust` that have files of their own. */
#ifndef WAYBILL_CLI_TRUST_H
#define WAYBILL_CLI_TRUST_H

#include "cli/cli.h"

/** cli/trust_add.c */
wb_exit wb_cli_trust_add(const wb_cli *cli, const void *given);
extern const wb_option wb_trust_add_options[];
/** cli/trust_bundle.c */
wb_exit wb_cli_trust_bundle(const wb_cli *cli, const void *given);
extern const wb_option wb_trust_bundle_options[];
/** cli/trust_revoke.c */
wb_exit wb_cli_trust_revoke(const wb_cli *cli, const void *given);
extern const wb_option wb_trust_revoke_options[];
wb_exit wb_cli_trust_remove(const wb_cli *cli, const void *given);
extern const wb_option wb_trust_remove_options[];

/** cli/trust_held.c: what the running sidecar of this state directory holds to, whatever stands on disk. */
typedef enum wb_trust_held {
    WB_TRUST_HELD_NOTHING, /* no revocation is in force in a running sidecar */
    WB_TRUST_HELD_SOME,    /* *n of them are */
    WB_TRUST_HELD_UNKNOWN, /* a sidecar runs and does not answer */
} wb_trust_held;
wb_trust_held wb_cli_trust_held(const wb_cli *cli, uint64_t *n);

/** cli/trust_policy.c */
wb_exit wb_cli_trust_policy(const wb_cli *cli, const void *given);
extern const wb_option wb_trust_policy_options[];

#endif
