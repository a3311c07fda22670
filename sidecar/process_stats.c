/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/fd belongs to root once the process may not be dumped, and Landlock closes all of /proc; a
 * directory that is open can still be listed, by getdents64(2) from its start. */
#include "sidecar/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LIST_BYTES = 4096, TEXT_BYTES = 128, NS_PER_S = 1000000000 };

void wb_process_files_open(wb_process_files *files)
{
    files->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    files->fds = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void wb_process_files_close(wb_process_files *files)
{
    if (files->statm >= 0) (void)close(files->statm);
    if (files->fds >= 0) (void)close(files->fds);
    files->statm = files->fds = -1;
}

/* "total resident shared ..." in pages */
static bool read_memory(int statm, wb_process_stats *out)
{
    char text[TEXT_BYTES];
    unsigned long long total, resident;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    ssize_t len = statm >= 0 ? pread(statm, text, sizeof text - 1, 0) : -1;
    if (len <= 0) return false;
    text[len] = '\0';
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
    if (sscanf(text, "%llu %llu", &total, &resident) != 2) return false;
    out->virtual_bytes = total * page;
    out->resident_bytes = resident * page;
    return true;
}

static bool count_fds(int fds, wb_process_stats *out)
{
    _Alignas(struct dirent64) char list[LIST_BYTES];
    uint64_t n = 0;
    ssize_t len;
    if (fds < 0 || lseek(fds, 0, SEEK_SET) != 0) return false;
    while ((len = getdents64(fds, list, sizeof list)) > 0) {
        for (ssize_t at = 0; at < len;) {
            const struct dirent64 *entry = (const void *)(list + at);
            if (entry->d_name[0] != '.') n++;
            at += entry->d_reclen;
        }
    }
    out->open_fds = n;
    return len == 0;
}

void wb_process_look(const wb_process_files *files, wb_process_stats *out)
{
    struct rlimit limit;
    struct timespec cpu;
    *out = (wb_process_stats){0};
    out->has_memory = read_memory(files->statm, out);
    out->has_fds = count_fds(files->fds, out);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        out->max_fds = limit.rlim_cur;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        out->cpu_ns = (uint64_t)cpu.tv_sec * NS_PER_S + (uint64_t)cpu.tv_nsec;
}
