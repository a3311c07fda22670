/* SPDX-License-Identifier: Apache-2.0 */
/* `trace export`: traces for other programs, one line a trace, as the OTLP file exporter writes them: a
 * line alone is also a whole request for OTLP/HTTP.
 *
 * Spans come from the store ordered by resource and scope and are written as they come, so that a trace
 * of any size needs a buffer and no tree; the exporter remembers which resource and scope are begun.
 * An open delegation has no span yet and so is not in OTLP. */
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/trace.h"

#include "core/arena.h"
#include "proto/otlp_to_json.h"

#include <stdlib.h>

enum { FLUSH_BYTES = 64 * 1024, TEXT_BYTES = 512 * 1024 * 1024, TRACES_MAX = 1000000 };

typedef struct chosen {
    wb_trace_id *ids;
    size_t n, cap;
    uint64_t spans, open_delegations;
    bool too_many;
} chosen;

typedef struct exporter {
    const wb_cli *cli;
    wb_store *store;
    bool is_otlp;
    wb_output_file *out;
    wb_progress progress;
    wb_buffer text; /* not written yet */
    bool in_resource, in_scope;
    uint64_t resource_id, scope_id; /* of the span before */
    uint64_t spans, bytes;
} exporter;

/* ---- OTLP ----------------------------------------------------------------------------------- */

static wb_status put(exporter *x, const char *text)
{
    return wb_buffer_add(&x->text, text, strlen(text));
}

static wb_status flush(exporter *x)
{
    if (!wb_print_json(x->out->file, wb_buffer_slice(&x->text)))
        return WB_ERR_UNAVAILABLE; /* wb_output_file_keep says why */
    x->bytes += x->text.len;
    wb_buffer_clear(&x->text);
    return WB_OK;
}

static wb_status end_scope(exporter *x)
{
    if (x->in_scope) WB_TRY(put(x, "]}"));
    x->in_scope = false;
    return WB_OK;
}

static wb_status end_resource(exporter *x)
{
    WB_TRY(end_scope(x));
    if (x->in_resource) WB_TRY(put(x, "]}"));
    x->in_resource = false;
    return WB_OK;
}

static wb_status begin_resource(exporter *x, const wb_stored_span *row)
{
    bool is_first = !x->in_resource;
    WB_TRY(end_resource(x));
    WB_TRY(put(x, is_first ? "{\"resource\":" : ",{\"resource\":"));
    WB_TRY(wb_otlp_resource_to_json(row->resource, &x->text));
    x->in_resource = true;
    x->resource_id = row->resource_id;
    return put(x, ",\"scopeSpans\":[");
}

static wb_status begin_scope(exporter *x, const wb_stored_span *row)
{
    bool is_first = !x->in_scope;
    WB_TRY(end_scope(x));
    WB_TRY(put(x, is_first ? "{\"scope\":" : ",{\"scope\":"));
    WB_TRY(wb_otlp_scope_to_json(row->scope, &x->text));
    x->in_scope = true;
    x->scope_id = row->scope_id;
    return put(x, ",\"spans\":[");
}

static wb_status add_span(exporter *x, const wb_stored_span *row)
{
    bool same_resource = x->in_resource && x->resource_id == row->resource_id;
    if (!same_resource) WB_TRY(begin_resource(x, row));
    bool same_scope = x->in_scope && x->scope_id == row->scope_id;
    if (!same_scope)
        WB_TRY(begin_scope(x, row));
    else
        WB_TRY(put(x, ","));
    WB_TRY(wb_otlp_span_to_json(row->span, &x->text));
    return x->text.len < FLUSH_BYTES ? WB_OK : flush(x);
}

static wb_status each_span(void *ctx, const wb_stored_span *row)
{
    exporter *x = ctx;
    if (wb_interrupted()) return WB_ERR_TIMEOUT;
    WB_TRY(add_span(x, row));
    wb_progress_at(&x->progress, ++x->spans);
    return WB_OK;
}

static wb_status export_otlp(exporter *x, const wb_trace_id *id, wb_error *err)
{
    WB_TRY(put(x, "{\"resourceSpans\":["));
    WB_TRY(wb_store_spans(x->store, id, WB_SPANS_GROUPED, each_span, x, err));
    WB_TRY(end_resource(x));
    WB_TRY(put(x, "]}\n"));
    return flush(x);
}

/* ---- our own JSON --------------------------------------------------------------------------- */

static wb_status export_json(exporter *x, const wb_trace_id *id, wb_error *err)
{
    wb_tree tree;
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_TREE_BYTES_MAX);
    if (wb_interrupted()) return WB_ERR_TIMEOUT;
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory");
    WB_TRY(wb_tree_load(x->store, id, wb_now(x->cli->clock), arena, &tree, err));
    long before = ftell(x->out->file);
    if (wb_trace_print_json(&tree, x->out->file) != WB_EXIT_OK)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "cannot write a trace");
    long after = ftell(x->out->file); /* a pipe has no place */
    if (before >= 0 && after > before) x->bytes += (uint64_t)(after - before);
    x->spans += tree.trace.span_count;
    wb_progress_at(&x->progress, x->spans);
    return WB_OK;
}

/* ---- which traces --------------------------------------------------------------------------- */

static wb_status choose(void *ctx, const wb_stored_trace *row)
{
    chosen *c = ctx;
    if (c->n == TRACES_MAX) {
        c->too_many = true;
        return WB_ERR_FULL;
    }
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;
        void *ids = reallocarray(c->ids, cap, sizeof *c->ids);
        if (!ids) return WB_ERR_NO_MEMORY;
        c->ids = ids;
        c->cap = cap;
    }
    c->ids[c->n++] = row->trace_id;
    c->spans += row->span_count;
    c->open_delegations += row->open_delegation_count;
    return WB_OK;
}

static wb_exit choose_by_id(const wb_cli *cli, wb_store *store, const char *prefix, chosen *c)
{
    wb_error err = {0};
    wb_trace_filter filter = {0};
    wb_status status = wb_store_find_trace(store, wb_slice_str(prefix), &filter.trace_id, &err);
    if (status == WB_OK) status = wb_store_traces(store, &filter, choose, c, &err);
    if (status == WB_ERR_MALFORMED) return wb_cli_usage(cli, "%s", err.detail);
    if (status == WB_OK) return WB_EXIT_OK;
    return wb_cli_fail(wb_cli_exit_of(status), prefix, err.detail, "see: waybill trace list");
}

static wb_exit choose_by_filter(wb_store *store, const wb_trace_filter *filter, chosen *c)
{
    wb_error err = {0};
    wb_status status = wb_store_traces(store, filter, choose, c, &err);
    if (c->too_many)
        return wb_cli_fail(WB_EXIT_FAILURE, "trace export", "more than a million traces",
                           "ask for less, with --since and --until");
    if (status == WB_ERR_NO_MEMORY)
        return wb_cli_fail(WB_EXIT_FAILURE, "trace export", "no memory", NULL);
    if (status != WB_OK)
        return wb_cli_fail(wb_cli_exit_of(status), "trace export", err.detail, NULL);
    return WB_EXIT_OK;
}

/* ---- the verb ------------------------------------------------------------------------------- */

typedef struct export_line {
    const char *id, *format, *path;
    wb_trace_choice traces;
    bool all, force;
} export_line;

static bool is_stdout(const export_line *how) { return !how->path || strcmp(how->path, "-") == 0; }

static wb_exit fail_output(const export_line *how, const wb_error *err, wb_status status)
{
    bool is_there = status == WB_ERR_REJECTED && !how->force;
    if (is_stdout(how)) return wb_cli_output_failed(err->detail);
    return wb_cli_fail(WB_EXIT_FAILURE, how->path, err->detail,
                       is_there ? "another name, or --force" : NULL);
}

static wb_status export_all(exporter *x, const chosen *c, wb_error *err)
{
    wb_progress_begin(&x->progress, x->cli, "exporting spans", c->spans);
    wb_status status = WB_OK;
    for (size_t i = 0; i < c->n && status == WB_OK; i++)
        status = x->is_otlp ? export_otlp(x, &c->ids[i], err) : export_json(x, &c->ids[i], err);
    wb_progress_end(&x->progress);
    return status;
}

/* What was written, unless it went to standard output itself. */
static wb_exit say_written(const exporter *x, const export_line *how, const chosen *c)
{
    char size[WB_SIZE_TEXT];
    wb_json_out json;
    if (x->is_otlp && c->open_delegations > 0)
        (void)fprintf(stderr, "waybill: %llu open delegations have no span yet and are left out\n",
                      (unsigned long long)c->open_delegations);
    if (is_stdout(how)) return WB_EXIT_OK;
    if (!x->cli->json) {
        (void)printf("%zu traces, %llu spans, %s in ", c->n, (unsigned long long)x->spans,
                     wb_size_text(x->bytes, size));
        wb_print_safe(stdout, wb_slice_str(how->path));
        (void)fputc('\n', stdout);
        return WB_EXIT_OK;
    }
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    wb_json_text(&json, "file", wb_slice_str(how->path));
    wb_json_number(&json, "traces", c->n);
    wb_json_number(&json, "spans", x->spans);
    wb_json_number(&json, "bytes", x->bytes);
    wb_json_number(&json, "open_delegations", c->open_delegations);
    wb_json_close(&json, '}');
    wb_exit code = wb_json_out_finish(&json, stdout);
    wb_json_out_done(&json);
    return code;
}

static wb_exit export_to(exporter *x, const export_line *how, const chosen *c)
{
    wb_error err = {0};
    wb_output_file out;
    if (!is_stdout(how))
        wb_interrupt_catch(); /* before it is there, or a file of nobody's would stay */
    wb_status status = wb_output_file_open(&out, how->path, how->force, &err);
    if (status != WB_OK) return fail_output(how, &err, status);
    x->out = &out;
    wb_buffer_init(&x->text, TEXT_BYTES);
    status = export_all(x, c, &err);
    wb_buffer_done(&x->text);
    wb_error write_err = {0};
    wb_status kept =
        status == WB_OK || ferror(out.file) ? wb_output_file_keep(&out, &write_err) : WB_OK;
    wb_output_file_done(&out);
    if (wb_interrupted()) wb_interrupt_die();
    if (kept != WB_OK) return fail_output(how, &write_err, kept);
    if (status != WB_OK)
        return wb_cli_fail(WB_EXIT_FAILURE, "trace export",
                           err.status != WB_OK ? err.detail : wb_status_name(status), NULL);
    return say_written(x, how, c);
}

static wb_exit export_chosen(const wb_cli *cli, const export_line *how)
{
    wb_exit code;
    chosen c = {0};
    wb_trace_filter filter = wb_trace_choice_filter(cli, &how->traces);
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    if (!store) return code;
    code = how->id ? choose_by_id(cli, store, how->id, &c) : choose_by_filter(store, &filter, &c);
    exporter x = {.cli = cli, .store = store, .is_otlp = strcmp(how->format, "otlp-json") == 0};
    if (code == WB_EXIT_OK) code = export_to(&x, how, &c);
    free(c.ids);
    return code;
}

wb_exit wb_trace_export_run(const wb_cli *cli, const void *given)
{
    const export_line *line = given;
    const wb_trace_choice *t = &line->traces;
    bool is_filtered = line->all || t->status || t->agent || t->since_ms != WB_OPTION_UNSET ||
                       t->until_ms != WB_OPTION_UNSET;
    if (line->id && is_filtered)
        return wb_cli_usage(cli, "either an id or --since, --until, --status, --agent, --all");
    if (!line->id && !is_filtered)
        return wb_cli_usage(cli, "which traces: an id, --since 30m, or --all");
    return export_chosen(cli, line);
}

const wb_option wb_trace_export_options[] = {
    WB_TRACE_CHOICE(export_line, traces),
    {.name = "--all", WB_INTO_FLAG(export_line, all), .help = "every trace of the store"},
    {.name = "--format",
     .value = "FORMAT",
     WB_INTO_TEXT(export_line, format),
     .choices = "otlp-json|json",
     .fallback = "otlp-json",
     .help = "what a line is"},
    {.name = "--output",
     .also = "-o",
     .value = "FILE",
     WB_INTO_TEXT(export_line, path),
     .hint = WB_HINT_FILE,
     .help = "write there, and not to standard output"},
    {.name = "--force", WB_INTO_FLAG(export_line, force), .help = "replace FILE if it is there"},
    {.value = "ID",
     WB_INTO_TEXT(export_line, id),
     .optional = true,
     .hint = WB_HINT_TRACE,
     .help = "one trace, by its id or its first digits"},
    {0},
};
