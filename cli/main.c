/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: global options, and the way to a verb, which is found by its one or two words. */
#include "cli/cli.h"
#include "cli/probe.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what holds for every verb --------------------------------------------------------------- */

/* Root administers other users' sidecars as that user: what it makes belongs to the sidecar, which could
 * not read it otherwise, its socket lets it in, and nobody who answers in a sidecar's name gets more of
 * root than that. */
static wb_exit act_as_owner(const wb_cli *cli)
{
    struct stat st;
    if (geteuid() != 0 || stat(cli->paths.state_dir, &st) != 0 || st.st_uid == 0) return WB_EXIT_OK;
    const struct passwd *user = getpwuid(st.st_uid); /* NOLINT(concurrency-mt-unsafe): one thread */
    gid_t gid = user ? user->pw_gid : st.st_gid;
    int rv = user ? initgroups(user->pw_name, gid) : setgroups(1, &gid);
    if (rv == 0 && setgid(gid) == 0 && setuid(st.st_uid) == 0) return WB_EXIT_OK;
    return wb_cli_fail(WB_EXIT_FAILURE, "the state directory",
                       "root could not become its owner, as whom it would act", NULL);
}

static wb_exit find_paths(const wb_globals *g, wb_cli *cli)
{
    wb_error err = {0};
    wb_paths_choice choice = {.name = g->name, .state_dir = g->state_dir, .store = g->store};
    if (wb_probe_places(&choice, &cli->paths, &err) != WB_OK)
        return wb_cli_fail(WB_EXIT_USAGE, "paths", err.detail, NULL);
    cli->given = choice;
    return cli->verb->as_caller ? WB_EXIT_OK : act_as_owner(cli);
}

static wb_exit set_up(const wb_globals *g, wb_cli *cli)
{
    const char *no_color = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe): one thread */
    cli->json = g->json;
    cli->terminal = isatty(STDOUT_FILENO) == 1;
    cli->clock = &wb_system_clock;
    cli->color = strcmp(g->color, "always") == 0 ||
                 (strcmp(g->color, "auto") == 0 && cli->terminal && !(no_color && *no_color));
    return cli->verb->stands_alone ? WB_EXIT_OK : find_paths(g, cli);
}

/* ---- verbs ---------------------------------------------------------------------------------- */

/* The verbs that `word` is the first word of, if it wants a second one. */
static const wb_verb *family_of(const char *word)
{
    size_t len = strlen(word);
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++)
            if (strncmp(v->name, word, len) == 0 && v->name[len] == ' ') return f->verbs;
    return NULL;
}

static const wb_verb *find_verb(const char *name)
{
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++)
            if (strcmp(v->name, name) == 0) return v;
    return NULL;
}

/* The command line as far as its verb. */
typedef struct head {
    int last;          /* the place in argv of the verb's last word */
    const char *first; /* the first word of the verb; NULL: there is none */
    const char *second;
    const wb_verb *verb;
    bool help; /* `help` stood before it */
} head;

static void take_word(head *h, const char *word)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s%s", h->first ? h->first : "", h->first ? " " : "",
                   word);
    if (h->first)
        h->second = word;
    else if (strcmp(word, "help") == 0)
        h->help = true;
    else
        h->first = word;
    if (strlen(name) < sizeof name - 1) h->verb = find_verb(name);
}

/* Global options may stand before and within the verb; behind it they are parsed with its own. */
static wb_exit read_head(int argc, char **argv, const wb_option_table *globals, head *h)
{
    static const wb_cli nothing;
    wb_error err = {0};
    *h = (head){0};
    for (int i = 1; i < argc && !h->verb && !h->second; i++) {
        bool taken = false;
        if (!wb_option_is(argv[i])) {
            take_word(h, argv[i]);
            h->last = i;
            if (h->first && !h->verb && !family_of(h->first)) return WB_EXIT_OK;
            continue;
        }
        if (wb_option_take(globals, argc, argv, &i, &taken, &err) != WB_OK)
            return wb_cli_usage(&nothing, "%s", err.detail);
        if (!taken) return wb_cli_usage(&nothing, "unknown option %.60s", argv[i]);
    }
    return WB_EXIT_OK;
}

static wb_exit no_such_verb(const head *h, bool help)
{
    static const wb_cli nothing;
    const wb_verb *family = h->first ? family_of(h->first) : NULL;
    if (!h->first) {
        wb_exit code = wb_help_overview(help ? stdout : stderr);
        return help ? code : WB_EXIT_USAGE;
    }
    if (!family) return wb_cli_usage(&nothing, "no verb %.40s", h->first);
    if (help && !h->second) return wb_help_family(stdout, family);
    wb_exit code = h->second ? wb_cli_usage(&nothing, "no verb %.40s %.40s", h->first, h->second)
                             : wb_cli_usage(&nothing, "%.40s wants another word", h->first);
    (void)wb_help_family(stderr, family);
    return code;
}

static wb_exit run(int argc, char **argv, bool ignores_pipe)
{
    head h;
    wb_globals g;
    wb_cli cli = {.ignores_pipe = ignores_pipe};
    wb_error err = {0};
    _Alignas(max_align_t) uint8_t line[WB_LINE_BYTES] = {0};
    wb_option_table tables[] = {{.line = line}, {wb_cli_globals, &g}};
    wb_options_reset(&tables[1]);
    wb_exit code = read_head(argc, argv, &tables[1], &h);
    if (code != WB_EXIT_OK) return code;
    cli.verb = h.verb;
    tables[0].options = h.verb ? h.verb->options : wb_cli_no_options;
    WB_ASSERT(wb_options_extent(tables[0].options) <= sizeof line);
    wb_options_reset(&tables[0]);
    wb_status status = WB_OK;
    if (h.verb) status = wb_options_parse(tables, 2, argc - h.last, argv + h.last, &err);
    if (g.version) {
        (void)puts("waybill " WAYBILL_VERSION);
        return WB_EXIT_OK;
    }
    if (!h.verb) return no_such_verb(&h, g.help || h.help);
    if (g.help || h.help) return wb_help_verb(stdout, h.verb);
    if (status != WB_OK) return wb_cli_usage(&cli, "%s", err.detail);
    code = set_up(&g, &cli);
    return code == WB_EXIT_OK ? h.verb->run(&cli, line) : code;
}

int main(int argc, char **argv)
{
    /* `| head` is no crash; what could not be written below is an exit code */
    bool ignored = signal(SIGPIPE, SIG_IGN) == SIG_IGN;
    wb_exit code = run(argc, argv, ignored);
    wb_exit written = wb_cli_flush();
    return (int)(written == WB_EXIT_OK ? code : written);
}
