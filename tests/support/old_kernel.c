/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without Landlock, as a program sees it that has this library preloaded: the system calls
 * that waybilld makes by number end with ENOSYS. */
#include <errno.h>
#include <unistd.h>

long syscall(long number, ...)
{
    (void)number;
    errno = ENOSYS;
    return -1;
}
