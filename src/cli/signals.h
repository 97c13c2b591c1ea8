/* SPDX-License-Identifier: Apache-2.0
 * signals.h - Ctrl-C stops work, not the program's promises; a model file cut under us ends the
 * request, not the process. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H
#include <stdbool.h>
#include "fikr/session.h"

/* SIGINT, SIGTERM and SIGHUP set a flag and cancel the watched session; a third that nobody has
 * noticed kills. SIGBUS goes to fk_handle_fault, and on to its default where it is not ours. */
void signals_install(void);
bool signals_interrupted(void);
/* SIGTERM or SIGHUP came: the program should end. */
bool signals_terminated(void);
void signals_clear(void);
/* The session that an interrupt cancels; NULL: none. */
void signals_watch(fk_session *s);

#endif
