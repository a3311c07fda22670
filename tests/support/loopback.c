/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor of 0 is none: standard input is open in a test. */
#include "tests/support/loopback.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int loopback_listen(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(at.sin_port);
    return fd;
}

bool loopback_start(loopback_server *s, void *(*serve)(void *arg), void *arg)
{
    s->listener = loopback_listen(&s->port);
    if (s->listener < 0 || pipe(s->stop) != 0) return false;
    s->runs = pthread_create(&s->thread, NULL, serve, arg) == 0;
    return s->runs;
}

void loopback_stop(loopback_server *s)
{
    if (s->runs) {
        (void)!write(s->stop[1], "", 1);
        pthread_join(s->thread, NULL);
    }
    if (s->stop[1] > 0) (void)close(s->stop[1]);
    if (s->stop[0] > 0) (void)close(s->stop[0]);
    if (s->listener > 0) (void)close(s->listener);
    *s = (loopback_server){.listener = 0};
}
