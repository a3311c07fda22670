/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/token_world.h: the worked example of TOKENS section 19, from C's side, for fuzz targets
 * that want to know whether a changed byte ever passes. */
#ifndef WAYBILL_TESTS_FUZZ_TOKEN_WORLD_H
#define WAYBILL_TESTS_FUZZ_TOKEN_WORLD_H

#include "propagation/verify.h"

extern const char example_root_jws[], example_child_jws[];

/** C's input for the example; made on the first call and kept for the life of the process. Its chain
 *  is [root, child]. */
const wb_verify_input *example_input(void);

/** An arena, emptied; one per process. */
wb_arena *fuzz_arena(void);

/** Assert that `chain` continues only if it is the example's, byte by byte. */
void assert_only_the_example_continues(const wb_chain *chain);

/** Assert that two claims say the same. */
void assert_same_claims(const wb_claims *x, const wb_claims *y);

#endif
