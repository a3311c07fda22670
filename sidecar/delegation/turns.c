/* SPDX-License-Identifier: Apache-2.0 */
/* A row holds its latest message where a row of one message always had it, so rows of earlier versions
 * and of the store read on. What was the latest before moves to `earlier` with all that is needed to
 * answer its Delegate again: the message's facts and its chain. At about 1 KiB a turn the bound keeps a
 * long conversation from growing its row without end. */
#include "sidecar/delegation/turns.h"

#include "proto/waybill/v1/journal.pb-c.h"

typedef Waybill__V1__DelegationRow delegation_row;
typedef Waybill__V1__DelegationTurn delegation_turn;

size_t wb_turns_held(const delegation_row *row) { return row->n_earlier + 1; }

uint32_t wb_turns_number(const delegation_row *row, size_t i)
{
    return 1 + row->later_turns - (uint32_t)(row->n_earlier - i);
}

void wb_turns_get(const delegation_row *row, size_t i, delegation_turn *out)
{
    WB_ASSERT(i <= row->n_earlier);
    if (i < row->n_earlier) {
        *out = *row->earlier[i];
        return;
    }
    waybill__v1__delegation_turn__init(out);
    out->id = row->later_turns > 0 ? row->turn_id : row->id;
    out->parent_acceptance = row->later_turns > 0 ? row->turn_parent : row->parent_acceptance;
    out->method = row->method;
    out->message_id = row->message_id;
    out->body_digest = row->body_digest;
    out->n_chain = row->n_chain;
    out->chain = row->chain;
    out->unsigned_reason = row->unsigned_reason;
    out->token_hash = row->token_hash;
    out->token_exp_s = row->token_exp_s;
    out->key_id = row->key_id;
}

static void set_latest(delegation_row *row, const delegation_turn *turn)
{
    row->method = turn->method;
    row->message_id = turn->message_id;
    row->body_digest = turn->body_digest;
    row->n_chain = turn->n_chain;
    row->chain = turn->chain;
    row->unsigned_reason = turn->unsigned_reason;
    row->token_hash = turn->token_hash;
    row->token_exp_s = turn->token_exp_s;
    row->key_id = turn->key_id;
}

void wb_turns_replace(delegation_row *row, size_t i, const delegation_turn *turn)
{
    WB_ASSERT(i <= row->n_earlier);
    if (i < row->n_earlier)
        *row->earlier[i] = *turn;
    else
        set_latest(row, turn);
}

wb_status wb_turns_add(delegation_row *row, const delegation_turn *turn, wb_arena *arena)
{
    size_t kept = row->n_earlier < WB_TURNS_HELD - 1 ? row->n_earlier : WB_TURNS_HELD - 2;
    delegation_turn **earlier = wb_arena_array(arena, kept + 1, sizeof *earlier);
    delegation_turn *last = wb_arena_alloc(arena, sizeof *last);
    if (!earlier || !last) return WB_ERR_NO_MEMORY;
    wb_turns_get(row, row->n_earlier, last);
    for (size_t i = 0; i < kept; i++) earlier[i] = row->earlier[row->n_earlier - kept + i];
    earlier[kept] = last;
    row->earlier = earlier;
    row->n_earlier = kept + 1;
    row->later_turns++;
    row->turn_id = turn->id;
    row->turn_parent = turn->parent_acceptance;
    set_latest(row, turn);
    return WB_OK;
}

void wb_turns_facts(const delegation_row *row, size_t i, uint8_t facts[WB_FACTS_BYTES])
{
    delegation_turn turn;
    wb_id parent = {{0}};
    wb_turns_get(row, i, &turn);
    if (turn.parent_acceptance.len == sizeof parent.b)
        memcpy(parent.b, turn.parent_acceptance.data, sizeof parent.b);
    /* An unsigned delegation has no audience; its target's URL stands in. */
    wb_slice audience =
        wb_slice_str(row->target_agent_id[0] ? row->target_agent_id : row->target_url);
    wb_delegation_facts(&parent, audience, wb_slice_str(turn.message_id),
                        wb_slice_of(turn.body_digest.data, turn.body_digest.len), facts);
}

bool wb_turns_find(const delegation_row *row, const wb_id *id, const uint8_t facts[WB_FACTS_BYTES],
                   size_t *i)
{
    size_t held = wb_turns_held(row);
    for (size_t at = 0; at < held; at++) {
        delegation_turn turn;
        wb_turns_get(row, at, &turn);
        *i = at;
        if (turn.id.len == sizeof id->b && memcmp(turn.id.data, id->b, sizeof id->b) == 0)
            return true;
    }
    for (size_t at = 0; at < held; at++) {
        uint8_t of_turn[WB_FACTS_BYTES];
        wb_turns_facts(row, at, of_turn);
        *i = at;
        if (memcmp(of_turn, facts, sizeof of_turn) == 0) return true;
    }
    return false;
}
