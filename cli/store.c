/* SPDX-License-Identifier: Apache-2.0 */
/* `store migrate`, `store maintain` and `store prune`: what a store's owner does to it. */
#include "cli/cli.h"
#include "cli/output.h"
#include "store/admin.h"

#include "core/store_url.h"

enum { STEPS_MAX = 64 };

typedef struct migrate_line {
    const char *writer, *reader, *password_file;
    bool dry_run;
} migrate_line;

typedef struct upkeep_line {
    const char *password_file;
    uint64_t keep_ms;
} upkeep_line;

static wb_exit fail(const char *verb, wb_status status, const wb_error *err)
{
    return wb_cli_fail(status == WB_ERR_CONFIG || status == WB_ERR_NOT_FOUND ? WB_EXIT_NO
                                                                             : WB_EXIT_FAILURE,
                       verb, err->detail, NULL);
}

static wb_store_place place_of(const wb_cli *cli, const char *password_file)
{
    return (wb_store_place){.name = cli->paths.store, .password_file = password_file};
}

/* ---- store migrate -------------------------------------------------------------------------- */

typedef struct steps {
    const char *names[STEPS_MAX];
    size_t n;
} steps;

static void note_step(void *ctx, const char *name)
{
    steps *s = ctx;
    if (s->n < STEPS_MAX) s->names[s->n++] = name;
}

static wb_exit print_migrated_json(const char *store, const migrate_line *line,
                                   const wb_store_migrated *m, const steps *s)
{
    wb_json_out json;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    wb_json_text(&json, "store", wb_slice_str(store));
    wb_json_bool(&json, "dry_run", line->dry_run);
    wb_json_number(&json, "from", (uint64_t)m->from);
    wb_json_number(&json, "to", (uint64_t)m->to);
    wb_json_open(&json, "applied", '[');
    for (size_t i = 0; i < s->n; i++) wb_json_text(&json, NULL, wb_slice_str(s->names[i]));
    wb_json_close(&json, ']');
    wb_json_bool(&json, "writer_granted", m->writer_granted);
    wb_json_bool(&json, "reader_granted", m->reader_granted);
    wb_json_number(&json, "partitions_made", (uint64_t)m->days);
    wb_json_close(&json, '}');
    wb_exit code = wb_json_out_finish(&json, stdout);
    wb_json_out_done(&json);
    return code;
}

static void print_migrated(const migrate_line *line, const wb_store_migrated *m, const steps *s)
{
    for (size_t i = 0; i < s->n; i++)
        (void)printf("%s %s\n", line->dry_run ? "would apply" : "applied", s->names[i]);
    if (s->n == 0)
        (void)printf("nothing to do: the schema is at version %d\n", m->from);
    else
        (void)printf("schema version %d%s, was %d\n", m->to, line->dry_run ? " then" : "", m->from);
    if (m->days > 0) (void)printf("made %lld day partitions\n", (long long)m->days);
    if (m->writer_granted)
        (void)printf("%s may write\n", line->writer ? line->writer : "waybill_writer");
    if (m->reader_granted)
        (void)printf("%s may read\n", line->reader ? line->reader : "waybill_reader");
}

static wb_exit run_migrate(const wb_cli *cli, const void *given)
{
    const migrate_line *line = given;
    char store[WB_PATH_MAX];
    steps s = {0};
    wb_store_migrated m;
    wb_error err = {0};
    wb_store_migration how = {.dry_run = line->dry_run,
                              .writer = line->writer,
                              .reader = line->reader,
                              .step = note_step,
                              .ctx = &s};
    wb_store_place place = place_of(cli, line->password_file);
    wb_status status = wb_store_migrate(&place, &how, &m, &err);
    if (status != WB_OK) return fail("store migrate", status, &err);
    wb_store_url_hide(cli->paths.store, store, sizeof store);
    if (cli->json) return print_migrated_json(store, line, &m, &s);
    print_migrated(line, &m, &s);
    return WB_EXIT_OK;
}

/* ---- store maintain, store prune ------------------------------------------------------------ */

static wb_exit print_numbers(const wb_cli *cli, const char *const names[2], const int64_t values[2],
                             size_t n)
{
    wb_json_out json;
    if (!cli->json) return WB_EXIT_OK;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    for (size_t i = 0; i < n; i++) wb_json_number(&json, names[i], (uint64_t)values[i]);
    wb_json_close(&json, '}');
    wb_exit code = wb_json_out_finish(&json, stdout);
    wb_json_out_done(&json);
    return code;
}

static wb_exit run_maintain(const wb_cli *cli, const void *given)
{
    static const char *const names[2] = {"partitions_made"};
    wb_store_place place = place_of(cli, ((const upkeep_line *)given)->password_file);
    int64_t made[2] = {0};
    wb_error err = {0};
    wb_status status = wb_store_maintain(&place, &made[0], &err);
    if (status != WB_OK) return fail("store maintain", status, &err);
    if (!cli->json) (void)printf("made %lld day partitions\n", (long long)made[0]);
    return print_numbers(cli, names, made, 1);
}

static wb_exit run_prune(const wb_cli *cli, const void *given)
{
    static const char *const names[2] = {"partitions_dropped", "rows_deleted"};
    const upkeep_line *line = given;
    wb_store_place place = place_of(cli, line->password_file);
    int64_t gone[2] = {0};
    wb_error err = {0};
    if (line->keep_ms == WB_OPTION_UNSET) return wb_cli_usage(cli, "--keep says how much stays");
    wb_status status = wb_store_prune(&place, line->keep_ms / 1000, &gone[0], &gone[1], &err);
    if (status != WB_OK) return fail("store prune", status, &err);
    if (!cli->json)
        (void)printf("dropped %lld day partitions, deleted %lld rows beside them\n",
                     (long long)gone[0], (long long)gone[1]);
    return print_numbers(cli, names, gone, 2);
}

/* ---- tables --------------------------------------------------------------------------------- */

#define PASSWORD_FILE(line)                                                                        \
    {                                                                                              \
        .name = "--password-file", .value = "FILE", WB_INTO_TEXT(line, password_file),             \
        .hint = WB_HINT_FILE,                                                                      \
        .help = "a file with the password alone, mode 0600; without it, libpq's own ways: "        \
                "passfile in the URL, PGPASSWORD, PGPASSFILE"                                      \
    }

static const wb_option migrate_options[] = {
    {.name = "--dry-run",
     WB_INTO_FLAG(migrate_line, dry_run),
     .help = "say what would be done, and do nothing"},
    {.name = "--writer",
     .value = "ROLE",
     WB_INTO_TEXT(migrate_line, writer),
     .help = "let this role of a Postgres write; without it, waybill_writer if there is one"},
    {.name = "--reader",
     .value = "ROLE",
     WB_INTO_TEXT(migrate_line, reader),
     .help = "let this role read; without it, waybill_reader if there is one"},
    PASSWORD_FILE(migrate_line),
    {0},
};

static const wb_option maintain_options[] = {PASSWORD_FILE(upkeep_line), {0}};

static const wb_option prune_options[] = {
    {.name = "--keep",
     .value = "DURATION",
     WB_INTO_MS(upkeep_line, keep_ms),
     .min = 3600000,
     .max = UINT64_C(3153600000000),
     .help = "how much stays, such as 30d"},
    PASSWORD_FILE(upkeep_line),
    {0},
};

const wb_verb wb_store_verbs[] = {
    {.name = "store migrate",
     .summary = "Make a store, or bring it to this program's schema",
     .options = migrate_options,
     .help = "The store is the one of --store: a postgres:// URL, as the role that is to own the\n"
             "schema, or a file of SQLite, which sidecars also migrate by themselves. Each\n"
             "migration is a transaction; any number of these may run at once.\n",
     .no = "a newer Waybill made the schema, it is no store of ours, or there is no such role",
     .json = "{store, dry_run, from, to, applied, writer_granted, reader_granted, "
             "partitions_made}",
     .run = run_migrate},
    {.name = "store maintain",
     .summary = "Make the day partitions that the next week needs",
     .options = maintain_options,
     .help = "Sidecars that deliver to a Postgres do this, too; it is for those whose role was\n"
             "denied it, and moves rows out of the default partition that came before their day.\n",
     .no = "it is no store in Postgres",
     .json = "{partitions_made}",
     .run = run_maintain},
    {.name = "store prune",
     .summary = "Drop the days of a store in Postgres that are older",
     .options = prune_options,
     .help = "Whole day partitions are dropped; of the other tables the rows that are older.\n"
             "Open delegations stay.\n",
     .no = "it is no store in Postgres",
     .json = "{partitions_dropped, rows_deleted}",
     .run = run_prune},
    {0},
};
