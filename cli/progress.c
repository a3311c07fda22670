/* SPDX-License-Identifier: Apache-2.0 */
/* One line that is drawn over:  exporting traces [#######-------------]  412 of 1200, 3.20s left
 * It carries no text of others, so nothing needs escaping. */
#include "cli/progress.h"

#include "cli/output.h"
#include "cli/terminal.h"

#include <unistd.h>

enum { BAR = 20 };
static const uint64_t SILENT_NS = 500 * WB_NS_PER_MS, REDRAW_NS = 100 * WB_NS_PER_MS;

void wb_progress_begin(wb_progress *p, const wb_cli *cli, const char *what, uint64_t total)
{
    *p = (wb_progress){.what = what,
                       .clock = cli->clock,
                       .total = total,
                       .began_ns = wb_mono(cli->clock),
                       .is_terminal = wb_terminal_draws(STDERR_FILENO)};
}

static void draw(wb_progress *p, uint64_t done, uint64_t now)
{
    char bar[BAR + 1], left[WB_TIME_TEXT];
    size_t full = p->total ? (size_t)((double)done / (double)p->total * BAR) : 0;
    if (full > BAR) full = BAR;
    memset(bar, '-', BAR);
    memset(bar, '#', full);
    bar[BAR] = '\0';
    double rate = (double)done / (double)(now - p->began_ns);
    uint64_t rest = p->total > done ? p->total - done : 0;
    wb_duration_text(done ? (uint64_t)((double)rest / rate) : UINT64_MAX, left);
    (void)fprintf(stderr, "\r%s [%s] %llu of %llu, %s left\033[K", p->what, bar,
                  (unsigned long long)done, (unsigned long long)p->total, left);
    (void)fflush(stderr);
    p->is_drawn = true;
    p->drawn_ns = now;
}

void wb_progress_at(wb_progress *p, uint64_t done)
{
    if (!p->is_terminal) return;
    uint64_t now = wb_mono(p->clock);
    if (now - p->began_ns < SILENT_NS || now - p->drawn_ns < REDRAW_NS) return;
    draw(p, done, now);
}

void wb_progress_end(wb_progress *p)
{
    if (!p->is_drawn) return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    p->is_drawn = false;
}
