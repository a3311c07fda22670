/* SPDX-License-Identifier: Apache-2.0 */
/* What the role does that owns the schema. */
#include "store/postgres/migrate.h"
#include "store/postgres/query.h"

enum { CONNECT_MS = 10000, WORK_MS = 3600000 }; /* a migration may rewrite tables */

static wb_status connect_as(const wb_store_place *place, wb_pg **out, wb_error *err)
{
    wb_pg_target target = {.url = place->name, .password_file = place->password_file};
    WB_TRY(wb_pg_connect(&target, CONNECT_MS, out, err));
    wb_pg_set_timeout(*out, WORK_MS);
    return WB_OK;
}

static wb_status grant(wb_pg *pg, const wb_store_migration *how, wb_store_migrated *out,
                       wb_error *err)
{
    const char *writer = how->writer ? how->writer : "waybill_writer";
    const char *reader = how->reader ? how->reader : "waybill_reader";
    WB_TRY(wb_pg_grant(pg, writer, true, how->writer != NULL, &out->writer_granted, err));
    return wb_pg_grant(pg, reader, false, how->reader != NULL, &out->reader_granted, err);
}

wb_status wb_pg_migrate_store(const wb_store_place *place, const wb_store_migration *how,
                              wb_store_migrated *out, wb_error *err)
{
    wb_pg_version v;
    WB_AUTO(wb_pg) pg = NULL;
    WB_TRY(connect_as(place, &pg, err));
    WB_TRY(wb_pg_read_version(pg, &v, err));
    out->from = v.version;
    out->to = v.version > (int)wb_pg_migration_count ? v.version : (int)wb_pg_migration_count;
    if (how->dry_run) {
        if (v.version > 0 && v.version >= (int)wb_pg_migration_count)
            WB_TRY(wb_pg_check_version(pg, err));
        for (int i = v.version; i < out->to; i++) how->step(how->ctx, wb_pg_migrations[i].name);
        return WB_OK;
    }
    WB_TRY(wb_pg_migrate(pg, how->step, how->ctx, err));
    WB_TRY(wb_pg_make_days(pg, &out->days, err));
    return grant(pg, how, out, err);
}

wb_status wb_pg_maintain_store(const wb_store_place *place, int64_t *made, wb_error *err)
{
    WB_AUTO(wb_pg) pg = NULL;
    WB_TRY(connect_as(place, &pg, err));
    WB_TRY(wb_pg_check_version(pg, err));
    return wb_pg_make_days(pg, made, err);
}

wb_status wb_pg_prune_store(const wb_store_place *place, uint64_t keep_s, int64_t *days,
                            int64_t *rows, wb_error *err)
{
    bool may;
    WB_AUTO(wb_pg) pg = NULL;
    WB_TRY(connect_as(place, &pg, err));
    WB_TRY(wb_pg_check_version(pg, err));
    WB_TRY(wb_pg_may_prune(pg, &may, err));
    if (!may)
        return wb_fail(err, WB_ERR_DENIED,
                       "postgres: this role may not: prune as the owner, or GRANT EXECUTE ON "
                       "FUNCTION waybill.prune TO it");
    return wb_pg_prune(pg, keep_s, days, rows, err);
}
