/* SPDX-License-Identifier: Apache-2.0 */
/* A build without Postgres. */
#include "store/engine.h"

const wb_store_ops *const wb_store_postgres_engine = NULL;
