/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/turns.h: the messages of one delegation (TOKENS section 7, rule 6), as its row
 * holds them: the latest in the row's own fields, a few before it in `earlier`. Pure functions; what
 * they put together borrows from row and turn alike. */
#ifndef WAYBILL_SIDECAR_DELEGATION_TURNS_H
#define WAYBILL_SIDECAR_DELEGATION_TURNS_H

#include "core/arena.h"
#include "core/ids.h"
#include "sidecar/delegation/delegations.h"

struct Waybill__V1__DelegationRow; /* protobuf-c's */
struct Waybill__V1__DelegationTurn;

/* Held of a delegation. A message further back is not known any more: its id answers nothing. */
enum { WB_TURNS_HELD = 8 };

/** Turns held, 1 or more. */
size_t wb_turns_held(const struct Waybill__V1__DelegationRow *row);
/** The `i`-th of those held; the last is the latest. */
void wb_turns_get(const struct Waybill__V1__DelegationRow *row, size_t i,
                  struct Waybill__V1__DelegationTurn *out);
/** Which turn of the delegation that is, from 1. */
uint32_t wb_turns_number(const struct Waybill__V1__DelegationRow *row, size_t i);

/** Put `turn` in the place of the `i`-th held: it got a fresh token. */
void wb_turns_replace(struct Waybill__V1__DelegationRow *row, size_t i,
                      const struct Waybill__V1__DelegationTurn *turn);
/** Make `turn` the latest; the oldest may leave. NO_MEMORY arena limit; the row is unchanged. */
WB_MUST_USE wb_status wb_turns_add(struct Waybill__V1__DelegationRow *row,
                                   const struct Waybill__V1__DelegationTurn *turn, wb_arena *arena);

/** What makes two messages the same one (wb_delegation_facts), of a held turn. */
void wb_turns_facts(const struct Waybill__V1__DelegationRow *row, size_t i,
                    uint8_t facts[WB_FACTS_BYTES]);
/** The held turn with the client's id `id` or, failing that, with these facts; false if none. */
bool wb_turns_find(const struct Waybill__V1__DelegationRow *row, const wb_id *id,
                   const uint8_t facts[WB_FACTS_BYTES], size_t *i);

#endif
