/* SPDX-License-Identifier: Apache-2.0 */
/* `manual`: the pages waybill(1) and waybill-VERB(1), and the reference in docs/cli.md, from the tables
 * that the program runs by. The build makes and installs them; a program that was copied alone brings
 * them along: waybill manual trace | man -l - */
#include "cli/manual.h"

#include "core/manual.h"

#include <errno.h>

enum { PAGE_BYTES = 256 * 1024, PATH_BYTES = 4096 };

typedef struct manual_line {
    const char *page, *into;
    bool markdown;
} manual_line;

/* ---- pages ---------------------------------------------------------------------------------- */

static size_t first_word(const char *name) { return strcspn(name, " "); }

static bool same_page(const wb_verb *a, const wb_verb *b)
{
    size_t len = first_word(a->name);
    return b->name && first_word(b->name) == len && strncmp(a->name, b->name, len) == 0;
}

static void take_page(const wb_family *f, const wb_verb *v, wb_page *page)
{
    page->verbs = v;
    for (page->n = 1; same_page(v, v + page->n);) page->n++;
    page->summary = v->name[first_word(v->name)] ? f->summary : v->summary;
    (void)snprintf(page->name, sizeof page->name, "waybill-%.*s", (int)first_word(v->name),
                   v->name);
}

bool wb_page_next(wb_page *page)
{
    bool found = page->verbs == NULL;
    for (const wb_family *f = wb_cli_families; f->verbs; f++) {
        for (const wb_verb *v = f->verbs; v->name;) {
            if (found) {
                take_page(f, v, page);
                return true;
            }
            found = v == page->verbs;
            v += found ? page->n : 1;
        }
    }
    return false;
}

/* ---- one verb ------------------------------------------------------------------------------- */

static wb_status clause(const char *before, const char *text, wb_buffer *out)
{
    WB_AUTO_BUFFER prose;
    if (!text) return WB_OK;
    wb_buffer_init(&prose, PAGE_BYTES);
    WB_TRY(wb_buffer_printf(&prose, "%s: %s.", before, text));
    WB_TRY(wb_buffer_add(&prose, "", 1));
    return wb_manual_prose((const char *)prose.ptr, out);
}

static wb_status verb_synopsis(const wb_verb *v, wb_buffer *out)
{
    char command[80];
    (void)snprintf(command, sizeof command, "waybill %s", v->name);
    return wb_manual_synopsis(command, v->options, out);
}

static wb_status describe_verb(const wb_verb *v, wb_buffer *out)
{
    char sentence[200];
    (void)snprintf(sentence, sizeof sentence, "%s.\n", v->summary);
    WB_TRY(wb_manual_prose(sentence, out));
    if (v->help) WB_TRY(wb_manual_prose(v->help, out));
    WB_TRY(wb_manual_options(v->options, out));
    WB_TRY(clause("Exit code 1", v->no, out));
    return clause("With `--json`", v->json, out);
}

/* ---- the frame ------------------------------------------------------------------------------ */

static wb_status see_also(const wb_page *self, wb_buffer *out)
{
    wb_page other = {.verbs = NULL};
    WB_TRY(wb_manual_heading("SEE ALSO", out));
    if (self) WB_TRY(wb_manual_reference("waybill", 1, ",", out));
    while (wb_page_next(&other))
        if (!self || other.verbs != self->verbs)
            WB_TRY(wb_manual_reference(other.name, 1, ",", out));
    return wb_manual_reference("waybilld", 8, "", out);
}

static wb_status terms(const char *title, const wb_term *rows, wb_buffer *out)
{
    WB_TRY(wb_manual_heading(title, out));
    return wb_manual_terms(rows, out);
}

static wb_status examples(const wb_page *page, wb_buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < page->n; i++) {
        if (!page->verbs[i].examples) continue;
        if (!any) WB_TRY(wb_manual_heading("EXAMPLES", out));
        any = true;
        WB_TRY(wb_manual_lines(page->verbs[i].examples, out));
    }
    return WB_OK;
}

static wb_status verb_page(const wb_page *page, wb_buffer *out)
{
    WB_TRY(wb_manual_begin(page->name, 1, page->summary, out));
    WB_TRY(wb_manual_heading("SYNOPSIS", out));
    for (size_t i = 0; i < page->n; i++) WB_TRY(verb_synopsis(&page->verbs[i], out));
    WB_TRY(wb_manual_heading("DESCRIPTION", out));
    for (size_t i = 0; i < page->n; i++) {
        if (page->n > 1) WB_TRY(wb_manual_subheading(page->verbs[i].name, out));
        WB_TRY(describe_verb(&page->verbs[i], out));
    }
    WB_TRY(wb_manual_heading("OPTIONS", out));
    WB_TRY(wb_manual_prose("Further options may stand anywhere on the line:\n", out));
    WB_TRY(wb_manual_options(wb_cli_globals, out));
    const wb_term *exits = page->verbs->exits;
    WB_TRY(terms("EXIT STATUS", exits ? exits : wb_cli_exits, out));
    WB_TRY(examples(page, out));
    return see_also(page, out);
}

static wb_status list_verbs(wb_buffer *out)
{
    wb_page page = {.verbs = NULL};
    while (wb_page_next(&page)) {
        for (size_t i = 0; i < page.n; i++) {
            WB_TRY(wb_buffer_printf(out, ".TP\n.B %s\n%s; see\n", page.verbs[i].name,
                                    page.verbs[i].summary));
            WB_TRY(wb_manual_reference(page.name, 1, ".", out));
        }
    }
    return WB_OK;
}

static wb_status main_page(wb_buffer *out)
{
    WB_TRY(wb_manual_begin("waybill", 1, "keys, trust, tokens, traces and delegations of a sidecar",
                           out));
    WB_TRY(wb_manual_heading("SYNOPSIS", out));
    WB_TRY(
        wb_buffer_printf(out, ".SY waybill\n.RI [ options ]\n.I verb\n.RI [ arguments ]\n.YS\n"));
    WB_TRY(wb_manual_heading("DESCRIPTION", out));
    WB_TRY(wb_manual_prose(wb_cli_about, out));
    WB_TRY(wb_manual_heading("VERBS", out));
    WB_TRY(list_verbs(out));
    WB_TRY(wb_manual_heading("OPTIONS", out));
    WB_TRY(wb_manual_prose("These may stand anywhere on the line:\n", out));
    WB_TRY(wb_manual_options(wb_cli_globals, out));
    WB_TRY(terms("EXIT STATUS", wb_cli_exits, out));
    WB_TRY(terms("ENVIRONMENT", wb_cli_variables, out));
    WB_TRY(terms("FILES", wb_cli_files, out));
    return see_also(NULL, out);
}

wb_status wb_page_print(const wb_page *page, wb_buffer *out)
{
    return page ? verb_page(page, out) : main_page(out);
}

/* ---- the verb ------------------------------------------------------------------------------- */

static wb_exit no_memory(void) { return wb_cli_fail(WB_EXIT_FAILURE, "manual", "no memory", NULL); }

static wb_exit write_file(const char *dir, const wb_page *page)
{
    WB_AUTO_BUFFER out;
    char path[PATH_BYTES];
    wb_buffer_init(&out, PAGE_BYTES);
    if (wb_page_print(page, &out) != WB_OK) return no_memory();
    (void)snprintf(path, sizeof path, "%s/%s.1", dir, page ? page->name : "waybill");
    FILE *file = fopen(path, "we");
    bool written = file && fwrite(out.ptr, 1, out.len, file) == out.len;
    if (file && fclose(file) != 0) written = false;
    if (written) return WB_EXIT_OK;
    return wb_cli_fail(WB_EXIT_FAILURE, path,
                       strerror(errno), /* NOLINT(concurrency-mt-unsafe): one thread */
                       "name a directory that is there and may be written to");
}

static wb_exit write_all(const char *dir)
{
    wb_page page = {.verbs = NULL};
    wb_exit code = write_file(dir, NULL);
    while (code == WB_EXIT_OK && wb_page_next(&page)) code = write_file(dir, &page);
    return code;
}

/* "trace" and "waybill-trace" are the same page; "waybill", like nothing, the first one. */
static bool find_page(const char *name, wb_page *page)
{
    while (wb_page_next(page))
        if (strcmp(name, page->name) == 0 || strcmp(name, page->name + strlen("waybill-")) == 0)
            return true;
    return false;
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    const manual_line *line = given;
    wb_page page = {.verbs = NULL};
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, PAGE_BYTES);
    if (line->into && (line->page || line->markdown))
        return wb_cli_usage(cli, "--into writes all pages, and nothing else");
    if (line->markdown && line->page) return wb_cli_usage(cli, "--markdown is all verbs");
    if (line->into) return write_all(line->into);
    bool first = !line->page || strcmp(line->page, "waybill") == 0;
    if (!first && !find_page(line->page, &page))
        return wb_cli_fail(WB_EXIT_NO, line->page, "there is no such page",
                           "pages are named by the first word of a verb; see: waybill --help");
    wb_status status =
        line->markdown ? wb_reference_print(&out) : wb_page_print(first ? NULL : &page, &out);
    if (status != WB_OK) return no_memory();
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return WB_EXIT_OK;
}

static const wb_option options[] = {
    {.name = "--into",
     .value = "DIR",
     WB_INTO_TEXT(manual_line, into),
     .hint = WB_HINT_DIR,
     .help = "write all pages into this directory instead"},
    {.name = "--markdown",
     WB_INTO_FLAG(manual_line, markdown),
     .help = "print all verbs as Markdown instead, as docs/cli.md has them"},
    {.value = "PAGE",
     WB_INTO_TEXT(manual_line, page),
     .optional = true,
     .hint = WB_HINT_VERB,
     .help = "the first word of a verb; without it, waybill(1)"},
    {0},
};

const wb_verb wb_manual_verbs[] = {
    {.name = "manual",
     .summary = "Print a page of this manual for man",
     .options = options,
     .help = "The pages are installed with the program. Where they are not, man reads what this\n"
             "prints.\n",
     .examples = "waybill manual trace | man -l -\n",
     .no = "there is no such page",
     .stands_alone = true,
     .run = run},
    {0},
};
