/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without Landlock, as a program sees it that has this library preloaded: the system calls
 * that waybilld makes by number end with ENOSYS. */
#include <errno.h>
#include <unistd.h>

/* The parameter has glibc's name, which the linter compares. */
long syscall(long __sysno, ...)
{
    (void)__sysno;
    errno = ENOSYS;
    return -1;
}
