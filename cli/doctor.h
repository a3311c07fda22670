/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor.h: what the checks of `doctor` share. Within cli only. */
#ifndef WAYBILL_CLI_DOCTOR_H
#define WAYBILL_CLI_DOCTOR_H

#include "cli/output.h"
#include "cli/probe.h"

typedef enum wb_finding { WB_FINDING_OK, WB_FINDING_WARN, WB_FINDING_FAIL } wb_finding;

typedef struct wb_doctor {
    const wb_cli *cli;
    wb_probe probe; /* of the sidecar, if it answers */
    wb_json_out json;
    unsigned found[3]; /* by wb_finding */
    bool strict;
} wb_doctor;

/** One line, or one object of the array. `todo`, what to do about it, may be NULL. */
void wb_doctor_say(wb_doctor *d, wb_finding f, const char *check, const char *todo, const char *fmt,
                   ...) __attribute__((format(printf, 5, 6)));

/* cli/doctor_trust.c */
void wb_doctor_keys(wb_doctor *d);
void wb_doctor_trust(wb_doctor *d);
void wb_doctor_revoked(wb_doctor *d);
void wb_doctor_reload(wb_doctor *d);
/* cli/doctor_modes.c */
void wb_doctor_modes(wb_doctor *d);

/* cli/doctor_locks.c */
void wb_doctor_locks(wb_doctor *d);
/** May we use the socket? True also where no sidecar answers. */
bool wb_doctor_is_let_in(const wb_doctor *d);
/** The sidecar runs as another user than we, and its files are closed to us. */
bool wb_doctor_is_foreign(const wb_doctor *d);

#endif
