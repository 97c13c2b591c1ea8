/* SPDX-License-Identifier: Apache-2.0
 * net_module.c - the one symbol of fikr-net.so. The module has copies of its own of the few functions
 * of base/ that it uses; no memory of its goes to the program. */
#include "src/cli/net_module.h"

extern const struct net fikr_net;
__attribute__((visibility("default"))) const struct net fikr_net = {net_download, net_sha256};
