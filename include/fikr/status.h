/* SPDX-License-Identifier: Apache-2.0
 * status.h - what every call of libfikr returns, and the sentence that goes with a failure.
 *
 * Anything that can fail returns enum fk_status (0 is success, negative is failure) and takes an
 * optional struct fk_error * as its last argument. The sentence is written once, where the fact is
 * known; it is one line of printable UTF-8 without a final full stop or newline. */
#ifndef FIKR_STATUS_H
#define FIKR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(FK_API)
#define FK_API __attribute__((visibility("default")))
#elif !defined(FK_API)
#define FK_API
#endif

/* Grouped by tens: 1x the caller, 2x a file or its format, 3x memory and limits, 4x computing,
 * 5x the network, 6x interrupted. Values are frozen. */
enum fk_status {
    FK_OK = 0,
    FK_EINVAL = -10,       /* an argument is wrong; the sentence names it */
    FK_ESTATE = -11,       /* the call is not allowed now (e.g. next before prompt) */
    FK_ENOTFOUND = -12,    /* no such file, name or key */
    FK_EFORMAT = -20,      /* a file or text is malformed; the sentence has field, value and limit */
    FK_EUNSUPPORTED = -21, /* well formed, but not something this library runs */
    FK_EIO = -22,          /* reading or writing failed */
    FK_EGONE = -23,        /* a mapped file was cut or changed under us; the model has failed */
    FK_ENOMEM = -30,       /* an allocation failed or a cap was reached; nothing was lost */
    FK_ETOOBIG = -31,      /* a prompt or input exceeds a limit; the sentence has both counts */
    FK_EDEVICE = -40,      /* a device failed */
    FK_ENONFINITE = -41,   /* NaN or infinity in weights or logits */
    FK_ENET = -50,         /* a download failed */
    FK_ECHECKSUM = -51,    /* bytes do not match their checksum */
    FK_ECANCELLED = -60,   /* the caller asked to stop */
    FK_EBUSY = -61         /* a resource is in use; try later */
};

struct fk_error {
    enum fk_status status;
    char message[500]; /* NUL-terminated, printable UTF-8, control characters escaped */
};

/* A short constant name such as "format", never NULL. */
FK_API const char *fk_status_name(enum fk_status status);

/* The exit code for scripts: 0 done, 1 failed, 2 bad input or file, 3 out of memory or resources,
 * 4 busy, 130 interrupted. */
FK_API int fk_exit_code(enum fk_status status);

/* Library version, "MAJOR.MINOR.PATCH". */
FK_API const char *fk_version(void);

/* Called now and then by long work with how much of `total` is `done` (total 0 = unknown).
 * Return nonzero to cancel: the work then ends with FK_ECANCELLED. */
typedef int (*fk_progress_fn)(void *arg, const char *what, unsigned long long done,
                              unsigned long long total);

#ifdef __cplusplus
}
#endif
#endif
