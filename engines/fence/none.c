/* SPDX-License-Identifier: Apache-2.0 */
/* A build without what the administrator's fence needs; see fence.h. */
#include "fence.h"

static int absent(gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "this gpualloc was built without the fence: building it needs clang, "
			    "bpftool and libbpf");
}

void fence_state_free(struct fence_state *state)
{
	*state = (struct fence_state){0};
}

int fence_lock(void)
{
	return -1;
}

int fence_possible(gpualloc_error *error)
{
	return absent(error);
}

int fence_raise(const struct fence_rules *rules, gpualloc_error *error)
{
	(void)rules;
	return absent(error);
}

int fence_look(struct fence_state *ret_state, gpualloc_error *error)
{
	*ret_state = (struct fence_state){0};
	return absent(error);
}

int fence_remove(gpualloc_error *error)
{
	return absent(error);
}
