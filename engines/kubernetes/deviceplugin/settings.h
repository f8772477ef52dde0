/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is told to do. Who reads it from people is in the folder above. */
#ifndef DEVICEPLUGIN_SETTINGS_H
#define DEVICEPLUGIN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mig_strategy { MIG_NONE, MIG_SINGLE, MIG_MIXED };

/* Which of the kubelet's interfaces is served. */
enum kubelet_api { API_DEVICE_PLUGIN, API_DRA };

/* What is kept at the node's object for schedulers, and how. */
enum facts_form { FACTS_NONE, FACTS_LABELS, FACTS_ANNOTATION };

/* How a container is given its devices: bits. */
enum hand_over {
	HAND_OVER_ENVIRONMENT = 1 << 0, /* NVIDIA_VISIBLE_DEVICES */
	HAND_OVER_DEVICES = 1 << 1,     /* device nodes */
	HAND_OVER_CDI = 1 << 2,         /* names of CDI devices */
	HAND_OVER_ANNOTATIONS = 1 << 3  /* the same as an annotation, for older kubelets */
};

enum { DRIVER_SIZE = 64, NODE_SIZE = 256 };
enum { SETTINGS_TEXT = 4096, RESOURCE_SIZE = 192, XIDS_MOST = 64, REPLICAS_MOST = 1000 };

struct settings {
	enum kubelet_api api;
	char machine[SETTINGS_TEXT]; /* "": as gpualloc_machine_open() with NULL */
	char kubelet_dir[SETTINGS_TEXT];
	char pod_resources[SETTINGS_TEXT];
	char kernel_log[SETTINGS_TEXT]; /* "": not read */
	char store[SETTINGS_TEXT];      /* "": the default */
	char resource[RESOURCE_SIZE];
	char policy[SETTINGS_TEXT];
	char cdi_kind[SETTINGS_TEXT];
	enum facts_form facts;
	char metrics[64]; /* "[ADDRESS:]PORT"; "": not served */
	enum mig_strategy mig;
	int64_t replicas;
	bool spread; /* replicas and MIG instances; else packed */
	unsigned hand_over;
	bool lease;
	bool offer_in_use; /* GPUs that programs without a lease use */
	bool log_json;
	int64_t interval_ms;
	int64_t recover_ms;
	int64_t poll_ms;
	int64_t pod_wait_ms;
	int64_t ignored_xids[XIDS_MOST];
	size_t ignored_xid_count;

	/* For who talks to the API server. */
	char node[NODE_SIZE];           /* with DRA this is the pool's name, too */
	char kubeconfig[SETTINGS_TEXT]; /* "": the pod's service account */

	/* DRA */
	char driver[DRIVER_SIZE];
	char kubelet_root[SETTINGS_TEXT];
	char registry_dir[SETTINGS_TEXT]; /* in it */
	char cdi_dir[SETTINGS_TEXT];
	char host_root[SETTINGS_TEXT]; /* where the node's files are seen; "": at / */
};

/* What NVIDIA's documents call errors of applications: the device stays good. */
#define SETTINGS_IGNORED_XIDS "13,31,43,45,68,109"

#endif
