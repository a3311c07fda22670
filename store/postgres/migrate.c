/* SPDX-License-Identifier: Apache-2.0 */
/* Each migration is one transaction: lock, look again, apply, note, commit. The lock is the
 * transaction's (pg_advisory_xact_lock), since a session's would be left behind in a pooler. N processes
 * that start at once queue up there, and all but the first find nothing left to do. A crash leaves the
 * version before. */
#include "store/postgres/migrate.h"

#include <stdio.h>

#define LOCK "SELECT pg_advisory_xact_lock(6287404696018373709)" /* "WAYBILLM" */

static wb_status number_of(wb_pg *pg, const char *sql, const wb_pg_params *params, int64_t *out,
                           wb_error *err)
{
    WB_AUTO(wb_pg_result) result = NULL;
    WB_TRY(wb_pg_query(pg, sql, params, &result, err));
    *out = wb_pg_rows(result) > 0 ? wb_pg_number(result, 0, 0) : 0;
    return WB_OK;
}

wb_status wb_pg_read_version(wb_pg *pg, wb_pg_version *out, wb_error *err)
{
    int64_t there;
    WB_AUTO(wb_pg_result) result = NULL;
    *out = (wb_pg_version){0};
    WB_TRY(number_of(pg,
                     "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                     " WHERE n.nspname = 'waybill' AND c.relname = 'migrations'",
                     NULL, &there, err));
    if (there == 0) return WB_OK;
    WB_TRY(wb_pg_query(pg,
                       "SELECT version, compatible_with FROM waybill.migrations"
                       " ORDER BY version DESC LIMIT 1",
                       NULL, &result, err));
    if (wb_pg_rows(result) == 0) return WB_OK;
    out->version = (int)wb_pg_number(result, 0, 0);
    out->compatible_with = (int)wb_pg_number(result, 0, 1);
    return WB_OK;
}

static wb_status check_newer(const wb_pg_version *v, wb_error *err)
{
    if (v->version <= (int)wb_pg_migration_count ||
        v->compatible_with <= (int)wb_pg_migration_count)
        return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG,
                   "postgres: schema version %d takes programs from version %d on, and this one, "
                   "Waybill " WAYBILL_VERSION ", is of version %u: upgrade it",
                   v->version, v->compatible_with, wb_pg_migration_count);
}

wb_status wb_pg_check_version(wb_pg *pg, wb_error *err)
{
    wb_pg_version v;
    WB_TRY(wb_pg_read_version(pg, &v, err));
    if (v.version == 0)
        return wb_fail(err, WB_ERR_UNAVAILABLE,
                       "postgres: no Waybill schema in this database; run: waybill store migrate");
    if (v.version < (int)wb_pg_migration_count)
        return wb_fail(err, WB_ERR_UNAVAILABLE,
                       "postgres: schema version %d is older than this program's %u; run: waybill "
                       "store migrate",
                       v.version, wb_pg_migration_count);
    return check_newer(&v, err);
}

static wb_status apply(wb_pg *pg, int version, wb_error *err)
{
    const wb_pg_migration *m = &wb_pg_migrations[version];
    wb_pg_params p = {0};
    WB_AUTO(wb_pg_result) result = NULL;
    if (version == 0) WB_TRY(wb_pg_exec(pg, "CREATE SCHEMA IF NOT EXISTS waybill", err));
    WB_TRY(wb_pg_exec(pg, m->sql, err));
    wb_pg_add_number(&p, version + 1);
    wb_pg_add_text(&p, wb_slice_str(m->name));
    wb_pg_add_number(&p, m->compatible_with);
    wb_pg_add_text(&p, wb_slice_str(WAYBILL_VERSION));
    WB_TRY(wb_pg_query(pg,
                       "INSERT INTO waybill.migrations (version, name, compatible_with, program)"
                       " VALUES ($1, $2, $3, $4)",
                       &p, &result, err));
    return wb_pg_exec(pg, "COMMIT", err);
}

/* One step of it; *name is NULL when there is none left. */
static wb_status apply_next(wb_pg *pg, const char **name, wb_error *err)
{
    wb_pg_version v;
    *name = NULL;
    WB_TRY(wb_pg_exec(pg, "BEGIN; " LOCK, err));
    WB_TRY(wb_pg_read_version(pg, &v, err));
    WB_TRY(check_newer(&v, err));
    if (v.version >= (int)wb_pg_migration_count) return wb_pg_exec(pg, "COMMIT", err);
    WB_TRY(apply(pg, v.version, err));
    *name = wb_pg_migrations[v.version].name;
    return WB_OK;
}

wb_status wb_pg_migrate(wb_pg *pg, void (*did)(void *ctx, const char *name), void *ctx,
                        wb_error *err)
{
    for (;;) {
        const char *name;
        wb_status status = apply_next(pg, &name, err);
        if (status != WB_OK) {
            (void)wb_pg_rollback(pg); /* or the connection is closed, which does it */
            return status;
        }
        if (!name) return WB_OK;
        if (did) did(ctx, name);
    }
}

static wb_status grant(wb_pg *pg, const char *role, bool to_write, bool must, bool *done,
                       wb_error *err)
{
    int64_t there;
    wb_pg_params p = {0};
    WB_AUTO(wb_pg_result) result = NULL;
    wb_pg_add_text(&p, wb_slice_str(role));
    WB_TRY(wb_pg_exec(pg, "BEGIN; " LOCK, err)); /* two at once: "tuple concurrently updated" */
    WB_TRY(number_of(pg, "SELECT count(*) FROM pg_roles WHERE rolname = $1", &p, &there, err));
    *done = there > 0;
    if (there == 0 && must)
        return wb_fail(err, WB_ERR_NOT_FOUND,
                       "postgres: there is no role %.60s; make it first: CREATE ROLE ...", role);
    if (there > 0)
        WB_TRY(wb_pg_query(pg,
                           to_write ? "SELECT waybill.grant_writer($1::name)"
                                    : "SELECT waybill.grant_reader($1::name)",
                           &p, &result, err));
    return wb_pg_exec(pg, "COMMIT", err);
}

wb_status wb_pg_grant(wb_pg *pg, const char *role, bool to_write, bool must, bool *done,
                      wb_error *err)
{
    wb_status status = grant(pg, role, to_write, must, done, err);
    if (status != WB_OK) (void)wb_pg_rollback(pg); /* or the connection is closed, which does it */
    return status;
}

wb_status wb_pg_make_days(wb_pg *pg, int64_t *made, wb_error *err)
{
    return number_of(pg,
                     "SELECT waybill.make_days(array_agg((now() AT TIME ZONE 'UTC')::date + n))"
                     " FROM generate_series(-1, 7) n",
                     NULL, made, err);
}

wb_status wb_pg_may_prune(wb_pg *pg, bool *may, wb_error *err)
{
    WB_AUTO(wb_pg_result) result = NULL;
    WB_TRY(wb_pg_query(pg, "SELECT has_function_privilege('waybill.prune(interval)', 'EXECUTE')",
                       NULL, &result, err));
    *may = wb_pg_number(result, 0, 0) != 0;
    return WB_OK;
}

wb_status wb_pg_prune(wb_pg *pg, uint64_t keep_s, int64_t *days, int64_t *rows, wb_error *err)
{
    wb_pg_params p = {0};
    WB_AUTO(wb_pg_result) result = NULL;
    wb_pg_add_number(&p, (int64_t)keep_s);
    WB_TRY(wb_pg_query(pg, "SELECT days, rows FROM waybill.prune($1 * interval '1 second')", &p,
                       &result, err));
    *days = wb_pg_number(result, 0, 0);
    *rows = wb_pg_number(result, 0, 1);
    return WB_OK;
}
