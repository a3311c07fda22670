/* SPDX-License-Identifier: Apache-2.0 */
/* core/store_url.h: the name of a store or the address of a backend, without what nobody may read. */
#ifndef WAYBILL_CORE_STORE_URL_H
#define WAYBILL_CORE_STORE_URL_H

#include <stdbool.h>
#include <stddef.h>

/** Is it postgres://... or postgresql://...? */
bool wb_is_postgres_url(const char *name);
/** Is it scheme:/..., of whatever scheme? So it is meant as a URL, not as a path. */
bool wb_is_url(const char *name);

/** Copy `name`, a URL of any scheme or libpq's key=value form, with *** for what may be a secret in it; cut to
 *  `cap`. In doubt more is hidden than needed. `out` may be `name`. A path (with / or . at its start) comes
 *  back as it is. */
void wb_store_url_hide(const char *name, char *out, size_t cap);

#endif
