/* SPDX-License-Identifier: Apache-2.0 */
/* Linked with all libraries of waybilld, none of which it calls: what the loader alone makes resident. */
#include <unistd.h>

int main(void) { return pause(); }
