/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secret_assigned.h: what a name in a text is given. Pure. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRET_ASSIGNED_H
#define WAYBILL_SIDECAR_PIPELINE_SECRET_ASSIGNED_H

#include "sidecar/pipeline/secret_names.h"
#include "sidecar/pipeline/secrets.h"

/** The secret that the name in text[from, to) is given: `name=...`, `name: ...`, `"name": "..."`, `--name ...`,
 *  `("name", "...")`, `<name>...`, `"name", "value": "..."`, `name is ...`. False if there is none.
 *  loose  the text may end before `text` does: what looks like more of it says nothing against a secret */
bool wb_secret_assigned(wb_slice text, size_t from, size_t to, wb_secret_name kind, bool loose,
                        wb_secret *out);

#endif
