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

/* ---- global options ------------------------------------------------------------------------- */

/* Move what is not global to the front of argv; returns how many that are, or -1. */
static int take_globals(int argc, char **argv, wb_globals *g)
{
    const wb_cli nothing = {0};
    wb_error err = {0};
    int kept = 0;
    bool options_end = false;
    wb_options_reset(wb_cli_globals, g);
    for (int i = 1; i < argc; i++) {
        bool taken = false;
        if (strcmp(argv[i], "--") == 0) options_end = true;
        if (!options_end &&
            wb_option_take(wb_cli_globals, argc, argv, &i, g, &taken, &err) != WB_OK) {
            (void)wb_cli_usage(&nothing, "%s", err.detail);
            return -1;
        }
        if (!taken) argv[1 + kept++] = argv[i];
    }
    argv[1 + kept] = NULL;
    return kept;
}

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

static wb_exit set_up(const wb_globals *g, wb_cli *cli)
{
    wb_error err = {0};
    wb_paths_choice choice = {.name = g->name, .state_dir = g->state_dir, .store = g->store};
    if (wb_paths_resolve(&choice, &cli->paths, &err) != WB_OK)
        return wb_cli_fail(WB_EXIT_USAGE, "paths", err.detail, NULL);
    wb_probe_places(&choice, &cli->paths);
    wb_exit code = act_as_owner(cli);
    if (code != WB_EXIT_OK) return code;
    const char *no_color = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe): one thread */
    cli->json = g->json;
    cli->terminal = isatty(STDOUT_FILENO) == 1;
    cli->clock = &wb_system_clock;
    cli->color = strcmp(g->color, "always") == 0 ||
                 (strcmp(g->color, "auto") == 0 && cli->terminal && !(no_color && *no_color));
    return WB_EXIT_OK;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

/* How many words of argv name this verb; 0: another one. */
static int words_of(const wb_verb *v, int argc, char **argv)
{
    const char *space = strchr(v->name, ' ');
    size_t len = space ? (size_t)(space - v->name) : strlen(v->name);
    if (argc < 1 || strlen(argv[0]) != len || strncmp(argv[0], v->name, len) != 0) return 0;
    if (!space) return 1;
    return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

/* The family that argv[0] is the first word of. */
static const wb_verb *family_of(const char *word)
{
    size_t len = strlen(word);
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        if (strncmp(f->verbs->name, word, len) == 0 && f->verbs->name[len] == ' ') return f->verbs;
    return NULL;
}

static const wb_verb *find_verb(int argc, char **argv, int *words)
{
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++)
            if ((*words = words_of(v, argc, argv)) > 0) return v;
    return NULL;
}

static wb_exit no_such_verb(const wb_cli *cli, int argc, char **argv, bool help)
{
    const wb_verb *family = argc > 0 ? family_of(argv[0]) : NULL;
    if (argc == 0) {
        wb_exit code = wb_help_overview(help ? stdout : stderr);
        return help ? code : WB_EXIT_USAGE;
    }
    if (!family) return wb_cli_usage(cli, "no verb %.40s", argv[0]);
    if (help) return wb_help_family(stdout, family);
    wb_exit code = argc > 1 ? wb_cli_usage(cli, "no verb %.40s %.40s", argv[0], argv[1])
                            : wb_cli_usage(cli, "%.40s wants another word", argv[0]);
    (void)wb_help_family(stderr, family);
    return code;
}

static wb_exit run(int argc, char **argv)
{
    wb_globals g;
    wb_cli cli = {0};
    _Alignas(max_align_t) uint8_t line[WB_LINE_BYTES] = {0};
    int words = 0;
    argc = take_globals(argc, argv, &g);
    if (argc < 0) return WB_EXIT_USAGE;
    argv++;
    if (g.version) {
        (void)puts("waybill " WAYBILL_VERSION);
        return WB_EXIT_OK;
    }
    if (argc > 0 && strcmp(argv[0], "help") == 0) {
        g.help = true;
        argc--, argv++;
    }
    const wb_verb *verb = find_verb(argc, argv, &words);
    if (!verb) return no_such_verb(&cli, argc, argv, g.help);
    if (g.help) return wb_help_verb(stdout, verb);
    cli.verb = verb;
    wb_exit code = set_up(&g, &cli);
    if (code == WB_EXIT_OK) code = wb_cli_parse(&cli, argc - words + 1, argv + words - 1, line);
    return code == WB_EXIT_OK ? verb->run(&cli, line) : code;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* `| head` is no crash; the failed flush below says it */
    wb_exit code = run(argc, argv);
    if (fflush(stdout) != 0 && code == WB_EXIT_OK) code = WB_EXIT_FAILURE;
    return (int)code;
}
