/* SPDX-License-Identifier: Apache-2.0 */
/* A build without SQLite. */
#include "store/engine.h"

const wb_store_ops *const wb_store_sqlite_engine = NULL;
