/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the devices that the kubelet offers a container should get. Always exactly as many as
 * asked where there are as many, and the same whatever order they come in.
 */
#ifndef DEVICEPLUGIN_CHOICE_H
#define DEVICEPLUGIN_CHOICE_H

#include "answers.h"
#include "inventory.h"

struct choice_asked {
	const struct inventory *inventory;
	const struct settings *settings;
	const gpualloc_policy *policy; /* for whole GPUs; NULL: the default */
	struct answers *answers;       /* of this policy on this inventory */
	char **available;              /* ids; they are put in order */
	size_t available_count;
	char **must; /* the same */
	size_t must_count;
	size_t wanted;
};

/*
 * ret_chosen has room for available_count + must_count ids, which are those of the lists. Returns
 * how many: fewer than wanted only where there are not more.
 */
size_t choice_make(const struct choice_asked *asked, char **ret_chosen);

/* Puts ids in the order of the devices, those of no device last, and each only once. */
size_t choice_sort(const struct inventory *inventory, char **ids, size_t count);

#endif
