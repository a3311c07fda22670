/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/sandbox/parts.h"

#include <ucontext.h>

void wb_sigsys_return(void *ucontext, long value)
{
    ucontext_t *context = ucontext;
    context->uc_mcontext.regs[0] = (unsigned long long)value;
}
