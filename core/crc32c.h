/* SPDX-License-Identifier: Apache-2.0 */
/* core/crc32c.h: the Castagnoli CRC. Source: RFC 3720 appendix B.4 (iSCSI). */
#ifndef WAYBILL_CORE_CRC32C_H
#define WAYBILL_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** The CRC of what `crc` covers (0: nothing yet) and then `len` bytes more. Thread-safe. */
uint32_t wb_crc32c(uint32_t crc, const void *bytes, size_t len);

/** The same without the processor's instruction: what machines without it run. For tests. */
uint32_t wb_crc32c_portable(uint32_t crc, const void *bytes, size_t len);

#endif
