/* SPDX-License-Identifier: Apache-2.0 */
/* cli/store_watch.h: the store as verbs open it, and as those that go on looking keep it open. */
#ifndef WAYBILL_CLI_STORE_WATCH_H
#define WAYBILL_CLI_STORE_WATCH_H

#include "cli/cli.h"
#include "store/store.h"

/** Open the store, or say why not: *code is what to return. */
wb_store *wb_cli_open_store(const wb_cli *cli, wb_exit *code);

/* A store that may be locked, removed or replaced while we look at it. Embedded: {.cli = cli}, done. */
typedef struct wb_store_watch {
    const wb_cli *cli;
    wb_store *store; /* NULL: away */
    bool is_away;
    bool quiet;   /* a screen is open: nothing is said on standard error, but kept in `why` */
    wb_error why; /* of being away, or of giving up */
} wb_store_watch;

typedef enum wb_store_news {
    WB_STORE_SAME,    /* or away */
    WB_STORE_CHANGED, /* since the last time that was asked */
    WB_STORE_OPENED,  /* for the first time, or again */
} wb_store_news;

/** Ask whether there is anything new; opens the store if it can. Another code than OK: it can never
 *  be read, which has been said (unless quiet). */
WB_MUST_USE wb_exit wb_store_watch_look(wb_store_watch *watch, wb_store_news *news);
/** A read failed: say so once, and close the store, to be opened again; or, as above, give up. */
WB_MUST_USE wb_exit wb_store_watch_failed(wb_store_watch *watch, wb_status status,
                                          const wb_error *err);
void wb_store_watch_done(wb_store_watch *watch);

#endif
