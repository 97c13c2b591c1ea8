/* SPDX-License-Identifier: Apache-2.0
 * viewer.c - xdg-open, in a session of its own so that Ctrl-C of the training does not reach the viewer. */
#include "src/cli/viewer.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Without one, xdg-open would start a text browser on our terminal. */
static int has_desktop(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x && *x) || (wayland && *wayland);
}

/* In the child: only what is safe between fork and exec. */
static void become_viewer(const char *path)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || setsid() < 0) _exit(127);
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0) _exit(127);
    if (fork() == 0) execlp("xdg-open", "xdg-open", path, (char *)NULL);
    _exit(0);
}

void viewer_open(const char *path)
{
    char *whole = has_desktop() ? realpath(path, NULL) : NULL;
    if (!whole) return;
    pid_t child = fork();
    if (child == 0) become_viewer(whole);
    if (child > 0) waitpid(child, NULL, 0);
    free(whole);
}
