/* SPDX-License-Identifier: Apache-2.0 */
/* A watcher outlives what it watches: a store that is locked, gone, half copied or just being made is
 * waited for. A store that a newer Waybill made is not, for waiting does not help. */
#include "cli/store_watch.h"

#include <stdio.h>

wb_store *wb_cli_open_store(const wb_cli *cli, wb_exit *code)
{
    wb_store *store = NULL;
    wb_error err = {0};
    wb_status status = wb_store_open(cli->paths.store, &store, &err);
    *code = WB_EXIT_OK;
    if (status == WB_OK) return store;
    *code = wb_cli_fail(WB_EXIT_FAILURE, "store", err.detail,
                        status == WB_ERR_NOT_FOUND
                            ? "a sidecar makes it when it delivers; or name it with --store"
                            : "waybill doctor looks closer");
    return NULL;
}

wb_exit wb_store_watch_failed(wb_store_watch *watch, wb_status status, const wb_error *err)
{
    bool waits = status == WB_ERR_UNAVAILABLE || status == WB_ERR_NOT_FOUND ||
                 status == WB_ERR_CORRUPT || status == WB_ERR_TIMEOUT;
    wb_store_close(WB_STEAL(watch->store));
    watch->why = *err;
    if (!waits && watch->quiet) return WB_EXIT_FAILURE;
    if (!waits)
        return wb_cli_fail(WB_EXIT_FAILURE, "store", err->detail, "waybill doctor looks closer");
    if (!watch->is_away && !watch->quiet)
        (void)wb_cli_fail(WB_EXIT_OK, "store", err->detail, "waiting for it (Ctrl-C ends)");
    watch->is_away = true;
    return WB_EXIT_OK;
}

wb_exit wb_store_watch_look(wb_store_watch *watch, wb_store_news *news)
{
    wb_error err = {0};
    wb_status status;
    bool changed = false;
    *news = WB_STORE_SAME;
    if (watch->store) {
        status = wb_store_changed(watch->store, &changed, &err);
        if (status == WB_OK && changed) *news = WB_STORE_CHANGED;
    } else {
        status = wb_store_open(watch->cli->paths.store, &watch->store, &err);
        if (status == WB_OK) *news = WB_STORE_OPENED;
        if (status == WB_OK) status = wb_store_changed(watch->store, &changed, &err);
        if (status == WB_OK && watch->is_away && !watch->quiet)
            (void)fprintf(stderr, "waybill: store: it is back\n");
        if (status == WB_OK) watch->is_away = false;
    }
    return status == WB_OK ? WB_EXIT_OK : wb_store_watch_failed(watch, status, &err);
}

void wb_store_watch_done(wb_store_watch *watch) { wb_store_close(WB_STEAL(watch->store)); }
