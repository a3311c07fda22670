/* SPDX-License-Identifier: Apache-2.0 */
/* cli/terminal.h: the terminal and the person at it: how large it is, whether it shows more than ASCII,
 * Ctrl-C, and a screen that is drawn over and given back as it was. One thread. */
#ifndef WAYBILL_CLI_TERMINAL_H
#define WAYBILL_CLI_TERMINAL_H

#include "core/slice.h"
#include "core/status.h"

#include <stdio.h>

enum { WB_TERMINAL_COLUMNS = 80, WB_TERMINAL_ROWS = 24 };

/** Of the terminal that `fd` is; the constants above if it is none or does not say. */
size_t wb_terminal_columns(int fd);
size_t wb_terminal_rows(int fd);
/** Is `fd` a terminal on which lines can be drawn over (TERM is not "dumb")? */
bool wb_terminal_draws(int fd);
/** Does the locale (LC_ALL, LC_CTYPE, LANG) say UTF-8? */
bool wb_terminal_is_utf8(void);

/* ---- being ended ---------------------------------------------------------------------------- */

/** From now on SIGINT, SIGTERM and SIGHUP are noted and end nothing by themselves. */
void wb_interrupt_catch(void);
/** The signal that was noted; 0: none. */
int wb_interrupted(void);
/** Wait; false at once when interrupted. */
bool wb_interrupt_wait(uint32_t ms);
/** A stream on `fd` that waits for its reader only until a second after an interrupt: then writing
 *  fails. NULL when memory is out. Closing it leaves `fd` open. */
FILE *wb_interrupt_stream(int fd);
/** All is tidied up: end by the signal that was noted, as the caller's shell expects. */
_Noreturn void wb_interrupt_die(void);

/* ---- a screen ------------------------------------------------------------------------------- */

typedef enum wb_screen_event {
    WB_SCREEN_TICK,   /* the time has passed */
    WB_SCREEN_REDRAW, /* another size, or back from Ctrl-Z: draw now */
    WB_SCREEN_END,    /* q, Ctrl-C, or a signal */
} wb_screen_event;

/** Take the terminal's other screen, without cursor, line wrap and echo. Also catches interrupts.
 *  Closed by wb_screen_close or, at the latest, by exit(). */
void wb_screen_open(void);
void wb_screen_close(void);
/** Draw `text` from the top left corner; what does not fit is cut off, on the right and below. */
void wb_screen_draw(wb_slice text);
/** Wait for one of the events; Ctrl-Z gives the terminal back meanwhile. */
wb_screen_event wb_screen_wait(uint32_t ms);

#endif
