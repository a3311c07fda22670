/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cli.h: what a verb of `waybill` is, and what it is given.
 *
 * One file per family of verbs, each with a table that verbs.c lists. A verb's options and arguments are
 * a table too (core/option.h): what it is given is read already when it runs. Global options may stand
 * anywhere before "--".
 *
 * Exit codes: see wb_exit. Results go to standard output, everything else to standard error. */
#ifndef WAYBILL_CLI_CLI_H
#define WAYBILL_CLI_CLI_H

#include "core/clock.h"
#include "core/option.h"
#include "core/paths.h"
#include "core/status.h"

#include <stdio.h>

typedef enum wb_exit {
    WB_EXIT_OK = 0,
    WB_EXIT_NO = 1,           /* a negative answer: not found, refused, unhealthy */
    WB_EXIT_USAGE = 2,        /* the command line is wrong */
    WB_EXIT_FAILURE = 3,      /* could not find out: no store, no permission, no memory */
    WB_EXIT_NOT_IN_FORCE = 4, /* done on disk; the running sidecar did not take it over */
} wb_exit;

typedef struct wb_verb wb_verb;

typedef struct wb_cli {
    const wb_verb *verb;   /* the one that runs; NULL before it is known */
    wb_paths paths;        /* by --name, --state-dir, --store and the environment */
    wb_paths_choice given; /* what of it the command line said; NULL: nothing */
    bool json;             /* --json: one JSON value, or one a line where --help says so */
    bool color;            /* --color, already decided for standard output */
    bool terminal;         /* standard output is one */
    bool ignores_pipe;     /* SIGPIPE was ignored when we were started */
    const wb_clock *clock;
} wb_cli;

struct wb_verb {
    const char *name;    /* "trace show"; one or two words */
    const char *summary; /* one line, no full stop */
    const wb_option
        *options;         /* and arguments; the struct is the verb's own, at most WB_LINE_BYTES */
    const char *help;     /* prose (wb_prose_print); NULL: the summary says all */
    const char *examples; /* commands, one a line; those of docs/cli.md are run by a test */
    const char *no;       /* what exit code 1 says, a clause without full stop; NULL: the general */
    const char *json;     /* what --json prints, likewise; NULL: as `help` says */
    const wb_term *exits; /* NULL: wb_cli_exits; alike for verbs with the same first word */
    bool as_caller;       /* root stays root, and does not act as the sidecar's owner */
    bool stands_alone;    /* asks for no sidecar, store or key: there are no paths for it */
    /** `line` is filled as `options` says. */
    wb_exit (*run)(const wb_cli *cli, const void *line);
};

enum { WB_LINE_BYTES = 256 };

/** For a verb without options and arguments. */
extern const wb_option wb_cli_no_options[];

/* Families: the verbs of one file; a row without a name ends each. */
extern const wb_verb wb_run_verbs[];         /* cli/run.c */
extern const wb_verb wb_key_verbs[];         /* cli/key.c */
extern const wb_verb wb_trust_verbs[];       /* cli/trust.c */
extern const wb_verb wb_token_verbs[];       /* cli/token.c */
extern const wb_verb wb_trace_verbs[];       /* cli/trace.c */
extern const wb_verb wb_delegations_verbs[]; /* cli/delegations.c */
extern const wb_verb wb_tail_verbs[];        /* cli/tail.c */
extern const wb_verb wb_agents_verbs[];      /* cli/agents.c */
extern const wb_verb wb_logs_verbs[];        /* cli/logs.c */
extern const wb_verb wb_status_verbs[];      /* cli/status.c */
extern const wb_verb wb_top_verbs[];         /* cli/top.c */
extern const wb_verb wb_reload_verbs[];      /* cli/reload.c */
extern const wb_verb wb_exporter_verbs[];    /* cli/exporter.c */
extern const wb_verb wb_store_verbs[];       /* cli/store.c */
extern const wb_verb wb_doctor_verbs[];      /* cli/doctor.c */
extern const wb_verb wb_manual_verbs[];      /* cli/manual.c */
extern const wb_verb wb_completion_verbs[];  /* cli/completion.c */

/** A family, for the overview, the manual and the shells. */
typedef struct wb_family {
    const wb_verb *verbs;
    const char *summary; /* as of a verb; NULL: a single verb's own */
} wb_family;

/** All of them, in the order of the overview, and the options that stand anywhere on the line
 *  (cli/verbs.c). Rows without verbs, or empty, end them. */
extern const wb_family wb_cli_families[];
extern const wb_option wb_cli_globals[];

/** What wb_cli_globals describes. */
typedef struct wb_globals {
    bool json, help, version;
    const char *name, *state_dir, *store, *color;
} wb_globals;

/** What the exit codes say; which variables are read, which files (cli/verbs.c). */
extern const char wb_cli_about[]; /* what the program is, prose */
extern const wb_term wb_cli_exits[];
extern const wb_term wb_cli_variables[];
extern const wb_term wb_cli_files[];

/* Help (cli/help.c). Only memory can fail, which is said. */
wb_exit wb_help_overview(FILE *file);
wb_exit wb_help_family(FILE *file, const wb_verb *family);
wb_exit wb_help_verb(FILE *file, const wb_verb *verb);

/** Say "waybill: <what>: <why>; <what to do>" on standard error, control characters escaped, and
 *  return `code`. `todo` may be NULL. */
wb_exit wb_cli_fail(wb_exit code, const char *what, const char *why, const char *todo);
/** The same for a wrong command line: names the verb and points at its --help. */
wb_exit wb_cli_usage(const wb_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** What went to standard output did not all arrive: say so, unless its reader has gone, which is how
 *  `| head` ends us, and return WB_EXIT_FAILURE. It is said once, however often it is found. */
wb_exit wb_cli_output_failed(const char *why);
/** All that was printed is handed on; else as above. A verb needs it before it goes on only: at the end
 *  main does it for all of them. */
wb_exit wb_cli_flush(void);
/** The exit code of a status: NOT_FOUND, DENIED and REJECTED are negative answers. */
wb_exit wb_cli_exit_of(wb_status status);
/** The time that a duration option names: `ms` before now. 0, which limits nothing, if it was not given
 *  or reaches back behind 1970. */
wb_time_ns wb_cli_ago(const wb_cli *cli, uint64_t ms);

#endif
