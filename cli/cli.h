/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cli.h: what a verb of `waybill` is, and what it is given.
 *
 * One file per family of verbs, each with a table that main.c lists. main.c takes the global options
 * out of the arguments wherever they stand (before "--"), so a verb sees its own alone.
 *
 * Exit codes: see wb_exit. Results go to standard output, everything else to standard error. */
#ifndef WAYBILL_CLI_CLI_H
#define WAYBILL_CLI_CLI_H

#include "core/clock.h"
#include "core/paths.h"
#include "core/status.h"

typedef enum wb_exit {
    WB_EXIT_OK = 0,
    WB_EXIT_NO = 1,           /* a negative answer: not found, refused, unhealthy */
    WB_EXIT_USAGE = 2,        /* the command line is wrong */
    WB_EXIT_FAILURE = 3,      /* could not find out: no store, no permission, no memory */
    WB_EXIT_NOT_IN_FORCE = 4, /* done on disk; the running sidecar did not take it over */
} wb_exit;

typedef struct wb_cli {
    wb_paths paths; /* by --name, --state-dir, --store and the environment */
    bool json;      /* --json: one JSON value, or one a line where --help says so */
    bool color;     /* --color, already decided for standard output */
    bool terminal;  /* standard output is one */
    const wb_clock *clock;
} wb_cli;

typedef struct wb_verb {
    const char *name;     /* "trace show"; one or two words */
    const char *synopsis; /* "ID [--attributes]" */
    const char *summary;  /* one line, no full stop */
    const char *help;     /* options and examples, lines of at most 80 columns, ends in '\n' */
    /** argv[0] is `name`, argv[argc] is NULL; wb_cli_parse reads the rest. */
    wb_exit (*run)(const wb_cli *cli, int argc, char **argv);
} wb_verb;

/** One option of a verb: exactly one of the three is not NULL. */
typedef struct wb_option {
    const char *name;      /* "--since" */
    bool *flag;            /* set to true */
    const char **text;     /* --since X, --since=X */
    uint64_t *duration_ms; /* likewise; "90s", "30m", "2h", "7d", or milliseconds */
} wb_option;

/** Read the options of a verb, and what stands between and behind them.
 *  words    gets the arguments that are no options; `n_words` of them must be there at least, at most
 *           `max_words`. "--" ends the options
 *  returns  WB_EXIT_OK, or WB_EXIT_USAGE with the reason already said */
WB_MUST_USE wb_exit wb_cli_parse(int argc, char **argv, const wb_option *options, size_t n_options,
                                 const char **words, size_t n_words, size_t max_words);

/** True if argv[*i] is this option: *i is then at its last word, and *code says whether it was right.
 *  For wb_cli_parse and main.c. */
bool wb_cli_take_option(int argc, char **argv, int *i, const wb_option *option, wb_exit *code);

/* Families; a row without a name ends each. */
extern const wb_verb wb_key_verbs[];         /* cli/key.c */
extern const wb_verb wb_trust_verbs[];       /* cli/trust.c */
extern const wb_verb wb_token_verbs[];       /* cli/token.c */
extern const wb_verb wb_trace_verbs[];       /* cli/trace.c */
extern const wb_verb wb_delegations_verbs[]; /* cli/delegations.c */
extern const wb_verb wb_status_verbs[];      /* cli/status.c */
extern const wb_verb wb_reload_verbs[];      /* cli/reload.c */
extern const wb_verb wb_exporter_verbs[];    /* cli/exporter.c */
extern const wb_verb wb_doctor_verbs[];      /* cli/doctor.c */

/** Say "waybill: <what>: <why>; <what to do>" on standard error, control characters escaped, and
 *  return `code`. `todo` may be NULL. */
wb_exit wb_cli_fail(wb_exit code, const char *what, const char *why, const char *todo);
/** The same for a wrong command line: names the verb and points at its --help. */
wb_exit wb_cli_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The exit code of a status: NOT_FOUND, DENIED and REJECTED are negative answers. */
wb_exit wb_cli_exit_of(wb_status status);

#endif
