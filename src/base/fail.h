/* SPDX-License-Identifier: Apache-2.0
 * fail.h - writing the one sentence of a failure. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H
#include "fikr/status.h"

/* Writes status and the formatted sentence to err (may be NULL) and returns status. Bytes that are
 * not printable UTF-8 come out as \xNN, so names from hostile files may be passed as they are. */
enum fk_status fail(struct fk_error *err, enum fk_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* fail(FK_ENOMEM) with the size that was refused. */
enum fk_status fail_nomem(struct fk_error *err, unsigned long long bytes, const char *what);

/* Forwards a failure to the caller: the sentence stands already. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum fk_status try_status_ = (expr);                                                       \
        if (try_status_ != FK_OK) return try_status_;                                              \
    } while (0)

/* The same where something has to be released: needs `enum fk_status st` and a label. */
#define TRY_GOTO(expr, label)                                                                      \
    do {                                                                                           \
        st = (expr);                                                                               \
        if (st != FK_OK) goto label;                                                               \
    } while (0)

#endif
