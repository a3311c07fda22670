/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel, or a sandbox around a process, that lets nobody open a netlink socket, as a program sees it that has
 * this library preloaded. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The parameters have glibc's names, which the linter compares. */
int socket(int __domain, int __type, int __protocol)
{
    if (__domain != AF_NETLINK) return (int)syscall(SYS_socket, __domain, __type, __protocol);
    errno = EAFNOSUPPORT;
    return -1;
}
