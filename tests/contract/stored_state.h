/* SPDX-License-Identifier: Apache-2.0 */
/* tests/contract/stored_state.h: a far side's delegation_state where it is a store. */
#ifndef WAYBILL_TESTS_CONTRACT_STORED_STATE_H
#define WAYBILL_TESTS_CONTRACT_STORED_STATE_H

#include <stdint.h>

/** State of the delegation with test_id(id) in the store at `url`; "" if there is none. */
void contract_stored_state(const char *url, uint32_t id, char out[32]);

#endif
