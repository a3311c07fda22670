/* SPDX-License-Identifier: Apache-2.0 */
/* TOKENS.md section 1 gives the form; its section 5 says which bytes an agent id may have. A host name
 * or instance name has few of the others, but a host may be called anything. */
#include "core/self_id.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static char id_byte(char c)
{
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    return plain || c == '.' || c == '_' || c == '-' ? c : '-';
}

void wb_self_id_default(const char *name, char out[WB_SELF_ID_MAX + 1])
{
    char host[65] = "localhost", lower[65];
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        (void)snprintf(host, sizeof host, "localhost");
    size_t n = 0;
    for (; host[n]; n++) host[n] = id_byte(host[n]);
    for (n = 0; name[n] && n < sizeof lower - 1; n++) lower[n] = id_byte(name[n]);
    lower[n] = '\0';
    (void)snprintf(out, WB_SELF_ID_MAX + 1, "spiffe://waybill.local/%s/%s", host, lower);
}
