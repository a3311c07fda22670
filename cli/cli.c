/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, alike for every verb. */
#include "cli/cli.h"

#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

wb_exit wb_cli_fail(wb_exit code, const char *what, const char *why, const char *todo)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "waybill: ");
    wb_print_safe(stderr, wb_slice_str(what));
    (void)fprintf(stderr, ": ");
    wb_print_safe(stderr, wb_slice_str(why));
    if (todo) {
        (void)fprintf(stderr, "; ");
        wb_print_safe(stderr, wb_slice_str(todo));
    }
    (void)fputc('\n', stderr);
    return code;
}

wb_exit wb_cli_usage(const wb_cli *cli, const char *fmt, ...)
{
    const char *verb = cli->verb ? cli->verb->name : "";
    char why[256], todo[96];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    (void)snprintf(todo, sizeof todo, "see: waybill %s%s--help", verb, *verb ? " " : "");
    return wb_cli_fail(WB_EXIT_USAGE, *verb ? verb : "command line", why, todo);
}

/* Not by errno, which is lost where stdio failed early and the verb went on. */
static bool reader_has_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

wb_exit wb_cli_output_failed(const char *why)
{
    static bool is_said;
    bool is_quiet = is_said || reader_has_gone();
    is_said = true;
    return is_quiet ? WB_EXIT_FAILURE : wb_cli_fail(WB_EXIT_FAILURE, "standard output", why, NULL);
}

wb_exit wb_cli_flush(void)
{
    if (fflush(stdout) == 0)
        return ferror(stdout) ? wb_cli_output_failed("not all of it could be written") : WB_EXIT_OK;
    return wb_cli_output_failed(strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
}

wb_exit wb_cli_exit_of(wb_status status)
{
    switch (status) {
    case WB_OK: return WB_EXIT_OK;
    case WB_ERR_NOT_FOUND:
    case WB_ERR_DENIED:
    case WB_ERR_REJECTED: return WB_EXIT_NO;
    default: return WB_EXIT_FAILURE;
    }
}

wb_time_ns wb_cli_ago(const wb_cli *cli, uint64_t ms)
{
    wb_time_ns now = wb_now(cli->clock);
    return ms < now / WB_NS_PER_MS ? now - ms * WB_NS_PER_MS : 0;
}
