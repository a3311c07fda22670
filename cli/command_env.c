/* SPDX-License-Identifier: Apache-2.0 */
/* Of OpenTelemetry's variables only those are set that every SDK understands. OTEL_TRACES_EXPORTER=waybill or
 * OTEL_PYTHON_TRACER_PROVIDER=waybill would be seen by programs that do not know the name, and some of them
 * refuse to start then (the Java agent; a Python that does not find our package). The folder in PYTHONPATH does
 * it from inside the interpreter, where it is known that the package is there:
 * client/python/start/sitecustomize.py. */
#include "cli/command_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NOLINTBEGIN(concurrency-mt-unsafe): one thread */

void wb_command_env_set(const wb_cli *cli)
{
    const char *service = getenv("OTEL_SERVICE_NAME");
    (void)setenv("WAYBILL_NAME", cli->paths.name, 1);
    (void)setenv("WAYBILL_SOCKET", cli->paths.socket, 1);
    if (!service || !*service) (void)setenv("OTEL_SERVICE_NAME", cli->paths.name, 1);
}

/* PREFIX/share/waybill/python/start for PREFIX/bin/waybill, in a build folder too. */
static bool find_folder(char out[WB_PATH_MAX])
{
    char self[WB_PATH_MAX], file[WB_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (!slash) return false;
        *slash = '\0';
    }
    int len = snprintf(out, WB_PATH_MAX, "%s/share/waybill/python/start", self);
    if (len < 0 || len >= WB_PATH_MAX) return false;
    len = snprintf(file, sizeof file, "%s/sitecustomize.py", out);
    return len > 0 && (size_t)len < sizeof file && access(file, R_OK) == 0;
}

bool wb_command_env_set_python(void)
{
    char folder[WB_PATH_MAX];
    const char *had = getenv("PYTHONPATH");
    if (!find_folder(folder)) return false;
    size_t len = strlen(folder);
    if (!had || !*had) return setenv("PYTHONPATH", folder, 1) == 0;
    if (strncmp(had, folder, len) == 0 && (had[len] == ':' || had[len] == '\0')) return true;
    size_t size = len + 1 + strlen(had) + 1;
    char *joined = malloc(size);
    if (!joined) return false;
    (void)snprintf(joined, size, "%s:%s", folder, had);
    int rv = setenv("PYTHONPATH", joined, 1);
    free(joined);
    return rv == 0;
}

/* NOLINTEND(concurrency-mt-unsafe) */
