/* SPDX-License-Identifier: Apache-2.0 */
/* core/store_url.h: the name of a store in Postgres, without what nobody may read. */
#ifndef WAYBILL_CORE_STORE_URL_H
#define WAYBILL_CORE_STORE_URL_H

#include <stdbool.h>
#include <stddef.h>

/** Is it postgres://... or postgresql://...? */
bool wb_is_postgres_url(const char *name);

/** Copy `name`, a URL or libpq's key=value form, with *** for every password in it; cut to `cap`. In
 *  doubt more is hidden than needed: up to the last @. `out` may be `name`. What is neither comes back
 *  as it is. */
void wb_store_url_hide(const char *name, char *out, size_t cap);

#endif
