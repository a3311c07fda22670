/* SPDX-License-Identifier: Apache-2.0 */
/* `completion`: what Tab offers in bash and zsh. Both scripts begin with the same three functions, made
 * from the tables of verbs and options in words that both shells read:
 *
 *   _waybill_next VERB       reply=(...): the words that may follow, "word:meaning"
 *   _waybill_options VERB    reply=(...): its options and the global ones, "--option:meaning"
 *   _waybill_takes VERB X    REPLY: what option X, or argument number X, takes: "words a b c", "file",
 *                            "dir", "command", "trace", "instance", "verb", "any"; "" for nothing
 *
 * The driver of each shell walks the line with them. Ids of traces are asked of the program itself,
 * with the --store and --name that stand on the line; a failure offers nothing and says nothing. */
#include "cli/cli.h"

enum { SCRIPT_BYTES = 128 * 1024 };

typedef struct completion_line {
    const char *shell;
} completion_line;

/* ---- the drivers ---------------------------------------------------------------------------- */

static const char ask_functions[] =
    "# Ids of the newest traces; $@ is the program and its global options.\n"
    "_waybill_traces() {\n"
    "    \"$@\" trace list --limit 50 --json 2>/dev/null | tr ',' '\\n' |\n"
    "        sed -n 's/.*\"trace_id\": *\"\\([0-9a-f]*\\)\".*/\\1/p'\n"
    "}\n"
    "\n"
    "# Names of sidecars that have a run directory.\n"
    "_waybill_instances() {\n"
    "    command ls \"${XDG_RUNTIME_DIR:-/run}/waybill\" 2>/dev/null\n"
    "}\n"
    "\n";

static const char bash_driver[] =
    "_waybill() {\n"
    "    local IFS=$' \\t\\n' cur=${COMP_WORDS[COMP_CWORD]} verb='' option='' ended='' word REPLY "
    "i n=1\n"
    "    local -a reply given=(\"$1\")\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == [=:] ]]; then # --since=30m and a:b come as three words\n"
    "            [[ -n $option ]] || ((i++))\n"
    "        elif [[ -n $option ]]; then\n"
    "            [[ $option == --@(store|name|state-dir) ]] && given+=(\"$option\" \"$word\")\n"
    "            option=''\n"
    "        elif [[ -z $ended && $word == -- ]]; then\n"
    "            ended=1\n"
    "        elif [[ -z $ended && $word == -* ]]; then\n"
    "            _waybill_takes \"$verb\" \"$word\"\n"
    "            [[ -n $REPLY ]] && option=$word\n"
    "        elif _waybill_next \"$verb\" && [[ ${#reply[@]} -gt 0 ]]; then\n"
    "            [[ -z $verb && $word == help ]] || verb=${verb:+$verb }$word\n"
    "        else\n"
    "            _waybill_takes \"$verb\" \"$n\"\n"
    "            if [[ $REPLY == command ]]; then\n"
    "                if declare -F _command_offset >/dev/null; then\n"
    "                    _command_offset \"$i\"\n"
    "                else\n"
    "                    compopt -o filenames\n"
    "                    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "                fi\n"
    "                return\n"
    "            fi\n"
    "            ((n++))\n"
    "        fi\n"
    "    done\n"
    "    [[ -z $option && (${COMP_WORDS[COMP_CWORD - 1]} == [=:] || $cur == [=:]*) ]] && return # "
    "in a value\n"
    "    _waybill_next \"$verb\"\n"
    "    if [[ -n $option ]]; then\n"
    "        [[ $cur == '=' ]] && cur=''\n"
    "        _waybill_takes \"$verb\" \"$option\"\n"
    "    elif [[ -z $ended && $cur == -* ]]; then\n"
    "        _waybill_options \"$verb\"\n"
    "        REPLY=\"words ${reply[*]%%:*}\"\n"
    "    elif [[ ${#reply[@]} -gt 0 ]]; then\n"
    "        REPLY=\"words ${reply[*]%%:*}\"\n"
    "    else\n"
    "        _waybill_takes \"$verb\" \"$n\"\n"
    "    fi\n"
    "    if [[ $REPLY == verb ]]; then\n"
    "        _waybill_next ''\n"
    "        REPLY=\"words ${reply[*]%%:*}\"\n"
    "    fi\n"
    "    case $REPLY in\n"
    "    'words '*) mapfile -t COMPREPLY < <(compgen -W \"${REPLY#words }\" -- \"$cur\") ;;\n"
    "    trace) mapfile -t COMPREPLY < <(compgen -W \"$(_waybill_traces \"${given[@]}\")\" -- "
    "\"$cur\") ;;\n"
    "    instance) mapfile -t COMPREPLY < <(compgen -W \"$(_waybill_instances)\" -- \"$cur\") ;;\n"
    "    command) mapfile -t COMPREPLY < <(compgen -c -- \"$cur\") ;;\n"
    "    file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    dir) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "complete -F _waybill waybill\n";

static const char zsh_driver[] =
    "_waybill() {\n"
    "    local verb= option= ended= word REPLY\n"
    "    local -a reply given\n"
    "    local -i i n=1\n"
    "    given=($words[1])\n"
    "    for ((i = 2; i < CURRENT; i++)); do\n"
    "        word=$words[i]\n"
    "        if [[ -n $option ]]; then\n"
    "            [[ $option == --(store|name|state-dir) ]] && given+=($option $word)\n"
    "            option=\n"
    "        elif [[ -z $ended && $word == -- ]]; then\n"
    "            ended=1\n"
    "        elif [[ -z $ended && $word == --(store|name|state-dir)=* ]]; then\n"
    "            given+=($word)\n"
    "        elif [[ -z $ended && $word == -* ]]; then\n"
    "            _waybill_takes \"$verb\" \"$word\"\n"
    "            [[ -n $REPLY ]] && option=$word\n"
    "        elif _waybill_next \"$verb\" && (($#reply > 0)); then\n"
    "            [[ -z $verb && $word == help ]] || verb=${verb:+$verb }$word\n"
    "        else\n"
    "            _waybill_takes \"$verb\" $n\n"
    "            if [[ $REPLY == command ]]; then\n"
    "                shift $((i - 1)) words\n"
    "                ((CURRENT -= i - 1))\n"
    "                _normal\n"
    "                return\n"
    "            fi\n"
    "            ((n++))\n"
    "        fi\n"
    "    done\n"
    "    if [[ -z $option && -z $ended && $PREFIX == --*=* ]]; then\n"
    "        option=${PREFIX%%=*}\n"
    "        compset -P '*='\n"
    "    fi\n"
    "    if [[ -n $option ]]; then\n"
    "        _waybill_takes \"$verb\" \"$option\"\n"
    "    elif [[ -z $ended && $PREFIX == -* ]]; then\n"
    "        _waybill_options \"$verb\"\n"
    "        _describe -o option reply\n"
    "        return\n"
    "    else\n"
    "        _waybill_next \"$verb\"\n"
    "        if (($#reply > 0)); then\n"
    "            _describe verb reply\n"
    "            return\n"
    "        fi\n"
    "        _waybill_takes \"$verb\" $n\n"
    "    fi\n"
    "    case $REPLY in\n"
    "    'words '*) compadd -- ${=REPLY#words } ;;\n"
    "    verb)\n"
    "        _waybill_next ''\n"
    "        _describe verb reply\n"
    "        ;;\n"
    "    trace) compadd -- ${(f)\"$(_waybill_traces $given)\"} ;;\n"
    "    instance) compadd -- ${(f)\"$(_waybill_instances)\"} ;;\n"
    "    command) _command_names -e ;;\n"
    "    file) _files ;;\n"
    "    dir) _files -/ ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "# Loaded from fpath this file is the function itself; sourced, it announces it.\n"
    "if [[ $funcstack[1] == _waybill ]]; then\n"
    "    _waybill \"$@\"\n"
    "else\n"
    "    compdef _waybill waybill\n"
    "fi\n";

/* ---- the tables ----------------------------------------------------------------------------- */

/* Within '...' of a shell. */
static wb_status quoted(const char *text, size_t len, wb_buffer *out)
{
    for (size_t i = 0; i < len; i++)
        WB_TRY(text[i] == '\'' ? wb_buffer_printf(out, "'\\''") : wb_buffer_add(out, text + i, 1));
    return WB_OK;
}

/* Of a meaning, what fits beside a word: its first clause. */
static size_t first_clause(const char *text)
{
    const char *end = strpbrk(text, ";:(");
    const char *stop = strstr(text, ". ");
    if (stop && (!end || stop < end)) end = stop;
    size_t len = end ? (size_t)(end - text) : strlen(text);
    while (len > 0 && text[len - 1] == ' ') len--;
    return len;
}

static wb_status entry(const char *word, size_t len, const char *meaning, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, " '%.*s:", (int)len, word));
    WB_TRY(quoted(meaning, first_clause(meaning), out));
    return wb_buffer_printf(out, "'");
}

/* "(trace|list) reply=('show:Show one trace')". Families are told by their first verb. */
static wb_status next_words(wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "_waybill_next() {\n    case $1 in\n    '') reply=("));
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++) {
            size_t len = strcspn(v->name, " ");
            bool again = v > f->verbs && strncmp(v[-1].name, v->name, len + 1) == 0;
            if (!again) WB_TRY(entry(v->name, len, v->name[len] ? f->summary : v->summary, out));
        }
    WB_TRY(wb_buffer_printf(out, " 'help:Say what a verb does and takes') ;;\n"));
    for (const wb_family *f = wb_cli_families; f->verbs; f++) {
        size_t len = strcspn(f->verbs->name, " ");
        if (!f->verbs->name[len]) continue;
        WB_TRY(wb_buffer_printf(out, "    '%.*s') reply=(", (int)len, f->verbs->name));
        for (const wb_verb *v = f->verbs; v->name; v++)
            WB_TRY(entry(v->name + len + 1, strlen(v->name) - len - 1, v->summary, out));
        WB_TRY(wb_buffer_printf(out, ") ;;\n"));
    }
    return wb_buffer_printf(out, "    *) reply=() ;;\n    esac\n}\n\n");
}

static wb_status option_entries(const wb_option *options, wb_buffer *out)
{
    for (const wb_option *row = options; !wb_option_ends(row); row++)
        if (row->name) WB_TRY(entry(row->name, strlen(row->name), row->help, out));
    return WB_OK;
}

static wb_status option_words(wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "_waybill_options() {\n    reply=("));
    WB_TRY(option_entries(wb_cli_globals, out));
    WB_TRY(wb_buffer_printf(out, ")\n    case $1 in\n"));
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++) {
            WB_TRY(wb_buffer_printf(out, "    '%s') reply+=(", v->name));
            WB_TRY(option_entries(v->options, out));
            WB_TRY(wb_buffer_printf(out, ") ;;\n"));
        }
    return wb_buffer_printf(out, "    esac\n}\n\n");
}

static const char *hint_word(const wb_option *row)
{
    static const char *const words[] = {
        [WB_HINT_NONE] = "any",          [WB_HINT_FILE] = "file",   [WB_HINT_DIR] = "dir",
        [WB_HINT_COMMAND] = "command",   [WB_HINT_TRACE] = "trace", [WB_HINT_VERB] = "verb",
        [WB_HINT_INSTANCE] = "instance",
    };
    return row->kind == WB_OPTION_WORDS ? "command" : words[row->hint];
}

static wb_status takes(const char *verb, const wb_option *options, wb_buffer *out)
{
    unsigned argument = 0;
    for (const wb_option *row = options; !wb_option_ends(row); row++) {
        if (row->kind == WB_OPTION_FLAG) continue;
        WB_TRY(wb_buffer_printf(out, "    "));
        if (row->also) WB_TRY(wb_buffer_printf(out, "%s' %s' | ", verb, row->also));
        if (row->name)
            WB_TRY(wb_buffer_printf(out, "%s' %s') REPLY='", verb, row->name));
        else
            WB_TRY(wb_buffer_printf(out, "%s' %u') REPLY='", verb, ++argument));
        if (!row->choices) {
            WB_TRY(wb_buffer_printf(out, "%s' ;;\n", hint_word(row)));
            continue;
        }
        WB_TRY(wb_buffer_printf(out, "words "));
        for (const char *c = row->choices; *c; c++)
            WB_TRY(wb_buffer_printf(out, "%c", *c == '|' ? ' ' : *c));
        WB_TRY(wb_buffer_printf(out, "' ;;\n"));
    }
    return WB_OK;
}

static wb_status taken_values(wb_buffer *out)
{
    char verb[64];
    WB_TRY(wb_buffer_printf(out, "_waybill_takes() {\n    REPLY=\n    case \"$1 $2\" in\n"));
    for (const wb_family *f = wb_cli_families; f->verbs; f++)
        for (const wb_verb *v = f->verbs; v->name; v++) {
            (void)snprintf(verb, sizeof verb, "'%s'", v->name);
            WB_TRY(takes(verb, v->options, out));
        }
    WB_TRY(takes("*", wb_cli_globals, out));
    return wb_buffer_printf(out, "    esac\n}\n\n");
}

static wb_status script(bool zsh, wb_buffer *out)
{
    WB_TRY(wb_buffer_printf(out, "%s", zsh ? "#compdef waybill\n" : ""));
    WB_TRY(wb_buffer_printf(out,
                            "# SPDX-License-Identifier: Apache-2.0\n"
                            "# Made by `waybill completion %s` from the tables of its verbs.\n\n",
                            zsh ? "zsh" : "bash"));
    WB_TRY(next_words(out));
    WB_TRY(option_words(out));
    WB_TRY(taken_values(out));
    WB_TRY(wb_buffer_printf(out, "%s", ask_functions));
    return wb_buffer_printf(out, "%s", zsh ? zsh_driver : bash_driver);
}

/* ---- the verb ------------------------------------------------------------------------------- */

static wb_exit run(const wb_cli *cli, const void *given)
{
    const completion_line *line = given;
    WB_AUTO_BUFFER out;
    (void)cli;
    wb_buffer_init(&out, SCRIPT_BYTES);
    if (script(strcmp(line->shell, "zsh") == 0, &out) != WB_OK)
        return wb_cli_fail(WB_EXIT_FAILURE, "completion", "no memory", NULL);
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return WB_EXIT_OK;
}

static const wb_option options[] = {
    {.value = "SHELL",
     WB_INTO_TEXT(completion_line, shell),
     .choices = "bash|zsh",
     .help = "for this shell"},
    {0},
};

const wb_verb wb_completion_verbs[] = {
    {.name = "completion",
     .summary = "Print what makes a shell complete this command line",
     .options = options,
     .help =
         "Installed packages bring it along; otherwise it is sourced, in zsh behind compinit.\n",
     .examples = "source <(waybill completion bash)\n",
     .stands_alone = true,
     .run = run},
    {0},
};
