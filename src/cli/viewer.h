/* SPDX-License-Identifier: Apache-2.0
 * viewer.h - shows a file in the desktop's own program. */
#ifndef CLI_VIEWER_H
#define CLI_VIEWER_H

/* Returns at once; says nothing and does nothing where there is no desktop or no xdg-open. */
void viewer_open(const char *path);

#endif
