/* SPDX-License-Identifier: Apache-2.0
 * peak_dotprod.c - peak_body.h with the products of dot_dotprod.h. */
#include "src/kernels/arm/dot_dotprod.h"

#include "src/kernels/arm/peak_body.h"
