/* SPDX-License-Identifier: Apache-2.0
 * fikr.h - all of libfikr. Each header also stands alone. */
#ifndef FIKR_FIKR_H
#define FIKR_FIKR_H
#include "fikr/status.h"
#include "fikr/model.h"
#include "fikr/tokenizer.h"
#include "fikr/chat.h"
#include "fikr/engine.h"
#include "fikr/session.h"
#include "fikr/convert.h"
#include "fikr/quantize.h"
#include "fikr/grade.h"
#endif
