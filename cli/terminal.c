/* SPDX-License-Identifier: Apache-2.0 */
/* Escape sequences are the few that every terminal since the VT220 and xterm knows, written out:
 * terminfo would be a library for six strings. The other screen (1049) leaves what was on the terminal
 * as it was; with line wrap off (7) a line that is too long is cut by the terminal itself, which alone
 * knows how wide its characters are.
 *
 * Signals: handlers set a flag. A wait blocks them, looks at the flags and only then lets the kernel
 * unblock them while it sleeps (ppoll), so that none is missed in between. */
#include "cli/terminal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 60000, LAST_MS = 1000 };

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[H\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static size_t size_of(int fd, bool columns)
{
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) size = (struct winsize){0};
    size_t said = columns ? size.ws_col : size.ws_row;
    if (said > 0) return said;
    return columns ? WB_TERMINAL_COLUMNS : WB_TERMINAL_ROWS;
}

size_t wb_terminal_columns(int fd) { return size_of(fd, true); }
size_t wb_terminal_rows(int fd) { return size_of(fd, false); }

bool wb_terminal_draws(int fd)
{
    const char *term = getenv("TERM"); /* NOLINT(concurrency-mt-unsafe): one thread */
    return isatty(fd) == 1 && term && *term && strcmp(term, "dumb") != 0;
}

bool wb_terminal_is_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < WB_COUNT(variables); i++) {
        const char *value = getenv(variables[i]); /* NOLINT(concurrency-mt-unsafe): one thread */
        if (value && *value) return strstr(value, "UTF-8") || strstr(value, "utf8");
    }
    return false;
}

/* ---- signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t ended_by, resized, suspended;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        resized = 1;
    else if (number == SIGTSTP)
        suspended = 1;
    else
        ended_by = number;
}

static void catch_signal(int number)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;
    /* nohup and a shell's & without job control start us with some of them ignored: keep that. */
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return;
    (void)sigaction(number, &action, NULL);
}

void wb_interrupt_catch(void)
{
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
}

int wb_interrupted(void) { return ended_by; }

static void caught_signals(sigset_t *set)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    (void)sigemptyset(set);
    for (size_t i = 0; i < WB_COUNT(all); i++) (void)sigaddset(set, all[i]);
}

/* Sleep until a caught signal, `events` on `fd` (unless -1), or the end of the time. True: the events. */
static bool sleep_on(int fd, short events, uint32_t ms)
{
    sigset_t caught, before;
    struct pollfd input = {.fd = fd, .events = events};
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    int ready = 0;
    caught_signals(&caught);
    (void)pthread_sigmask(SIG_BLOCK, &caught, &before);
    if (!ended_by && !resized && !suspended) ready = ppoll(&input, 1, &time, &before);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ready > 0;
}

bool wb_interrupt_wait(uint32_t ms)
{
    (void)sleep_on(-1, 0, ms);
    return !ended_by;
}

/* Room to write; after an interrupt only if there is some within a second. */
static bool wait_for_room(int fd)
{
    struct pollfd output = {.fd = fd, .events = POLLOUT};
    while (!ended_by)
        if (sleep_on(fd, POLLOUT, POLL_MS)) return true;
    return poll(&output, 1, LAST_MS) > 0;
}

/* stdio goes on with what an interrupted write left over, and would sleep again. POLLOUT of a pipe
 * promises room for PIPE_BUF bytes, so no single write sleeps. */
static ssize_t write_some(void *cookie, const char *bytes, size_t size)
{
    const int *fd = cookie;
    size_t done = 0;
    while (done < size && wait_for_room(*fd)) {
        size_t step = size - done < PIPE_BUF ? size - done : PIPE_BUF;
        ssize_t n = write(*fd, bytes + done, step);
        if (n < 0 && errno != EINTR && errno != EAGAIN) break;
        if (n > 0) done += (size_t)n;
    }
    return (ssize_t)done;
}

FILE *wb_interrupt_stream(int fd)
{
    static int at; /* one is enough */
    at = fd;
    return fopencookie(&at, "w", (cookie_io_functions_t){.write = write_some});
}

void wb_interrupt_die(void)
{
    int number = ended_by ? ended_by : SIGTERM;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    _exit(128 + number);
}

/* ---- the screen ----------------------------------------------------------------------------- */

static struct {
    bool is_open, has_keys;
    struct termios before;
} screen;

static void put(const char *text)
{
    (void)fputs(text, stdout);
    (void)fflush(stdout);
}

static void enter(void)
{
    if (screen.has_keys) {
        struct termios keys = screen.before;
        keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        keys.c_cc[VMIN] = 0;
        keys.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    put(ENTER);
}

static void leave(void)
{
    put(LEAVE);
    if (screen.has_keys) (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

void wb_screen_open(void)
{
    WB_ASSERT(!screen.is_open);
    wb_interrupt_catch();
    catch_signal(SIGWINCH);
    catch_signal(SIGTSTP);
    /* Standard input may be a file, or we may be in the background: then there are no keys. */
    screen.has_keys =
        tcgetattr(STDIN_FILENO, &screen.before) == 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
    screen.is_open = true;
    (void)atexit(wb_screen_close); /* twice at worst, which is harmless */
    enter();
}

void wb_screen_close(void)
{
    if (!screen.is_open) return;
    screen.is_open = false;
    leave();
}

void wb_screen_draw(wb_slice text)
{
    size_t rows = wb_terminal_rows(STDOUT_FILENO);
    (void)fputs("\033[H", stdout);
    for (size_t row = 0; row < rows && text.len > 0; row++) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        if (row > 0) (void)fputc('\n', stdout);
        (void)fwrite(text.ptr, 1, len, stdout);
        (void)fputs("\033[0m\033[K", stdout);
        size_t step = end ? len + 1 : len;
        text = (wb_slice){text.ptr + step, text.len - step};
    }
    put("\033[J");
}

/* Give the terminal back, stop as the shell expects, and take it again. */
static void stop_here(void)
{
    suspended = 0;
    leave();
    (void)raise(SIGSTOP);
    enter();
}

/* A key is waiting. None there after all: the terminal is gone, and would wake us for ever. */
static bool is_quit_key(void)
{
    char key;
    ssize_t n = read(STDIN_FILENO, &key, 1);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) screen.has_keys = false;
    return n == 1 && (key == 'q' || key == 'Q');
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

wb_screen_event wb_screen_wait(uint32_t ms)
{
    uint64_t until = now_ms() + ms;
    for (;;) {
        uint64_t now = now_ms();
        if (ended_by) return WB_SCREEN_END;
        if (suspended) {
            stop_here();
            return WB_SCREEN_REDRAW;
        }
        if (resized) {
            resized = 0;
            return WB_SCREEN_REDRAW;
        }
        if (now >= until) return WB_SCREEN_TICK;
        bool key = sleep_on(screen.has_keys ? STDIN_FILENO : -1, POLLIN, (uint32_t)(until - now));
        if (key && is_quit_key()) return WB_SCREEN_END;
    }
}
