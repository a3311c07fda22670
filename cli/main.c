/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: global options, the table of verbs, help. A verb is found by its one or two words;
 * everything else is its own. Exit codes are in cli.h. */
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/probe.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const wb_verb *const families[] = {
    wb_trace_verbs,  wb_delegations_verbs, wb_status_verbs, wb_reload_verbs, wb_exporter_verbs,
    wb_doctor_verbs, wb_key_verbs,         wb_trust_verbs,  wb_token_verbs,
};

static const char GLOBAL_HELP[] =
    "Global options, anywhere on the line:\n"
    "  --json            print JSON instead of text\n"
    "  --name NAME       the sidecar's name (WAYBILL_NAME, OTEL_SERVICE_NAME, default)\n"
    "  --state-dir DIR   its state directory\n"
    "  --store PATH      the SQLite store to read (WAYBILL_STORE)\n"
    "  --color WHEN      auto, always or never\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 yes, 1 no (not found, refused, unhealthy), 2 wrong command line,\n"
    "3 could not find out.\n";

/* ---- global options ------------------------------------------------------------------------- */

typedef struct globals {
    bool json, help, version;
    const char *name, *state_dir, *store, *color;
} globals;

/* Move what is not global to the front of argv; returns how many that are, or -1. */
static int take_globals(int argc, char **argv, globals *g)
{
    const wb_option options[] = {
        {.name = "--json", .flag = &g->json},   {.name = "--help", .flag = &g->help},
        {.name = "-h", .flag = &g->help},       {.name = "--version", .flag = &g->version},
        {.name = "--name", .text = &g->name},   {.name = "--state-dir", .text = &g->state_dir},
        {.name = "--store", .text = &g->store}, {.name = "--color", .text = &g->color},
    };
    int kept = 0;
    bool options_end = false;
    char *program = argv[0];
    argv[0] = (char *)"";
    for (int i = 1; i < argc; i++) {
        bool taken = false;
        wb_exit code;
        if (strcmp(argv[i], "--") == 0) options_end = true;
        for (size_t k = 0; k < WB_COUNT(options) && !taken && !options_end; k++) {
            taken = wb_cli_take_option(argc, argv, &i, &options[k], &code);
            if (taken && code != WB_EXIT_OK) return -1;
        }
        if (!taken) argv[1 + kept++] = argv[i];
    }
    argv[0] = program;
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

static wb_exit set_up(const globals *g, wb_cli *cli)
{
    wb_error err = {0};
    wb_paths_choice choice = {.name = g->name, .state_dir = g->state_dir, .store = g->store};
    if (wb_paths_resolve(&choice, &cli->paths, &err) != WB_OK)
        return wb_cli_fail(WB_EXIT_USAGE, "paths", err.detail, NULL);
    wb_probe_places(&choice, &cli->paths);
    wb_exit code = act_as_owner(cli);
    if (code != WB_EXIT_OK) return code;
    const char *color = g->color ? g->color : "auto";
    const char *no_color = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe): one thread */
    cli->json = g->json;
    cli->terminal = isatty(STDOUT_FILENO) == 1;
    cli->clock = &wb_system_clock;
    if (strcmp(color, "always") == 0)
        cli->color = true;
    else if (strcmp(color, "auto") == 0)
        cli->color = cli->terminal && !(no_color && *no_color);
    else if (strcmp(color, "never") != 0)
        return wb_cli_usage("", "--color is auto, always or never, not %.40s", color);
    return WB_EXIT_OK;
}

/* ---- verbs and their help ------------------------------------------------------------------- */

static void print_overview(FILE *file)
{
    (void)fprintf(file,
                  "waybill: keys, trust, tokens, traces and delegations of a Waybill sidecar\n\n"
                  "Usage: waybill [options] VERB [arguments]\n\nVerbs:\n");
    for (size_t f = 0; f < WB_COUNT(families); f++)
        for (const wb_verb *v = families[f]; v->name; v++)
            (void)fprintf(file, "  %-17s %s\n", v->name, v->summary);
    (void)fprintf(file, "\nwaybill VERB --help says more.\n\n%s", GLOBAL_HELP);
}

static void print_family(FILE *file, const wb_verb *family)
{
    for (const wb_verb *v = family; v->name; v++)
        (void)fprintf(file, "  waybill %s %s\n      %s\n", v->name, v->synopsis, v->summary);
}

static void print_help(const wb_verb *v)
{
    (void)printf("Usage: waybill %s %s\n\n%s.\n\n%s\n%s", v->name, v->synopsis, v->summary, v->help,
                 GLOBAL_HELP);
}

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
    for (size_t f = 0; f < WB_COUNT(families); f++)
        for (const wb_verb *v = families[f]; v->name; v++)
            if (strncmp(v->name, word, len) == 0 && v->name[len] == ' ') return families[f];
    return NULL;
}

static const wb_verb *find_verb(int argc, char **argv, int *words)
{
    for (size_t f = 0; f < WB_COUNT(families); f++)
        for (const wb_verb *v = families[f]; v->name; v++)
            if ((*words = words_of(v, argc, argv)) > 0) return v;
    return NULL;
}

static wb_exit no_such_verb(int argc, char **argv, bool help)
{
    const wb_verb *family = argc > 0 ? family_of(argv[0]) : NULL;
    if (argc == 0) {
        print_overview(help ? stdout : stderr);
        return help ? WB_EXIT_OK : WB_EXIT_USAGE;
    }
    if (!family) return wb_cli_usage("", "no verb %.40s", argv[0]);
    if (help) {
        print_family(stdout, family);
        return WB_EXIT_OK;
    }
    wb_exit code = argc > 1 ? wb_cli_usage("", "no verb %.40s %.40s", argv[0], argv[1])
                            : wb_cli_usage("", "%.40s wants another word", argv[0]);
    print_family(stderr, family);
    return code;
}

static wb_exit run(int argc, char **argv)
{
    globals g = {0};
    wb_cli cli = {0};
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
    if (!verb) return no_such_verb(argc, argv, g.help);
    if (g.help) {
        print_help(verb);
        return WB_EXIT_OK;
    }
    wb_exit code = set_up(&g, &cli);
    if (code != WB_EXIT_OK) return code;
    argv[words - 1] = (char *)verb->name;
    return verb->run(&cli, argc - words + 1, argv + words - 1);
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* `| head` is no crash; the failed flush below says it */
    wb_exit code = run(argc, argv);
    if (fflush(stdout) != 0 && code == WB_EXIT_OK) code = WB_EXIT_FAILURE;
    return (int)code;
}
