/* SPDX-License-Identifier: Apache-2.0 */
/* One setting's value as people write it: a function a kind, with a sentence where it is wrong. */
#ifndef KUBERNETES_VALUES_H
#define KUBERNETES_VALUES_H

#include "settings.h"

#include <gpualloc/gpualloc.h>

typedef int value_function(struct settings *settings, const char *value, gpualloc_error *error);

value_function set_api, set_cdi_dir, set_cdi_kind, set_driver, set_host_root, set_kubeconfig,
	set_kubelet_root, set_node, set_facts, set_hand_over, set_ignore_xids, set_in_use,
	set_interval, set_kernel_log, set_kubelet_dir, set_lease, set_log, set_machine, set_metrics,
	set_mig, set_pod_resources, set_pod_wait, set_policy, set_poll, set_recover_after,
	set_replicas, set_resource, set_sharing, set_store;

/* After all others: what takes several of them together. */
int settle_dra(struct settings *settings, gpualloc_error *error);
int settle_facts(struct settings *settings, gpualloc_error *error);

#endif
