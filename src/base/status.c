/* SPDX-License-Identifier: Apache-2.0
 * status.c - names and exit codes of enum fk_status, and the library's version. */
#include "fikr/status.h"

const char *fk_status_name(enum fk_status status)
{
    switch (status) {
    case FK_OK: return "ok";
    case FK_EINVAL: return "invalid";
    case FK_ESTATE: return "state";
    case FK_ENOTFOUND: return "not-found";
    case FK_EFORMAT: return "format";
    case FK_EUNSUPPORTED: return "unsupported";
    case FK_EIO: return "io";
    case FK_EGONE: return "gone";
    case FK_ENOMEM: return "no-memory";
    case FK_ETOOBIG: return "too-big";
    case FK_EDEVICE: return "device";
    case FK_ENONFINITE: return "non-finite";
    case FK_ENET: return "network";
    case FK_ECHECKSUM: return "checksum";
    case FK_ECANCELLED: return "cancelled";
    case FK_EBUSY: return "busy";
    }
    return "unknown";
}

int fk_exit_code(enum fk_status status)
{
    switch (status) {
    case FK_OK: return 0;
    case FK_EINVAL:
    case FK_ENOTFOUND:
    case FK_EFORMAT:
    case FK_EUNSUPPORTED:
    case FK_ECHECKSUM:
    case FK_ETOOBIG: return 2;
    case FK_ENOMEM: return 3;
    case FK_EBUSY: return 4;
    case FK_ECANCELLED: return 130;
    default: return 1;
    }
}

const char *fk_version(void)
{
    return FIKR_VERSION;
}
