/* SPDX-License-Identifier: Apache-2.0
 * signals.c - the program's signal handlers. Everything in them is async-signal-safe. */
#include "src/cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static volatile sig_atomic_t n_interrupts, terminated;
static _Atomic(fk_session *) watched;

static void on_interrupt(int sig)
{
    int saved = errno;
    if (sig != SIGINT) terminated = 1;
    /* A reply ends within moments of the first; only work that does not listen sees a third. */
    if (++n_interrupts > 2) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    fk_session *s = atomic_load(&watched);
    if (s) fk_session_cancel(s);
    errno = saved;
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    if (info->si_code > 0 && fk_handle_fault(info->si_addr)) {
        errno = saved;
        return;
    }
    /* Not ours: the access repeats after the return and ends the process as it should. */
    signal(sig, SIG_DFL);
    if (info->si_code <= 0) raise(sig);
}

/* What was ignored when we were started (nohup, a background job) stays ignored. */
static void install(int sig)
{
    struct sigaction sa;
    if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN) return;
    memset(&sa, 0, sizeof sa);
    sigemptyset(&sa.sa_mask);
    sa.sa_handler = on_interrupt; /* no SA_RESTART: a read that waits for a line must wake */
    sigaction(sig, &sa, NULL);
}

void signals_install(void)
{
    struct sigaction sa;
    install(SIGINT);
    install(SIGTERM);
    install(SIGHUP);
    memset(&sa, 0, sizeof sa);
    sigemptyset(&sa.sa_mask);
    sa.sa_sigaction = on_bus_error;
    sa.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGBUS, &sa, NULL);
}

bool signals_interrupted(void)
{
    return n_interrupts > 0;
}

bool signals_terminated(void)
{
    return terminated != 0;
}

void signals_clear(void)
{
    n_interrupts = 0;
}

void signals_watch(fk_session *s)
{
    atomic_store(&watched, s);
}
