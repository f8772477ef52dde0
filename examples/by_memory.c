/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which GPU has this much memory for me?
 *
 *   by_memory SIZE [POLICY [MACHINE]]
 *
 * POLICY is best-fit (the least that suffices), worst-fit (the most) or random. Prints the name by
 * which a framework knows the device, cuda:N, or says that there is no GPU, or none that fits.
 */
#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <stdlib.h>

struct search {
	gpualloc_error *error;
	gpualloc_machine *machine;
	gpualloc_policy *policy;
	gpualloc_request *request;
	gpualloc_choice *choice;
};

static int find(struct search *search, const char *size, const char *policy, const char *machine)
{
	int64_t bytes;
	int status = gpualloc_size_parse(size, &bytes, search->error);

	if (status == 0)
		status = gpualloc_machine_open(machine, 0, &search->machine, search->error);
	if (status == 0)
		status = gpualloc_policy_open(policy, &search->policy, search->error);
	if (status < 0)
		return status;
	search->request = gpualloc_request_new();
	if (!search->request)
		return GPUALLOC_ENOMEM;
	gpualloc_request_set_policy(search->request, search->policy);
	gpualloc_request_set_memory(search->request, bytes, 0);
	status = gpualloc_request_set_environment(search->request, getenv("CUDA_VISIBLE_DEVICES"),
						  getenv("CUDA_DEVICE_ORDER"));
	if (status == 0)
		status = gpualloc_choose(search->machine, search->request, &search->choice,
					 search->error);
	return status;
}

static int print_name(const struct search *search)
{
	const gpualloc_device *device = gpualloc_choice_device(search->choice, 0);
	const char *model = gpualloc_device_name(device);
	char *name;
	int status = gpualloc_device_framework_name(
		search->machine, device, getenv("CUDA_VISIBLE_DEVICES"),
		getenv("CUDA_DEVICE_ORDER"), &name, search->error);

	if (status < 0)
		return status;
	printf("%s: %s with %lld MiB free\n", name, model ? model : "a GPU",
	       (long long)(gpualloc_device_memory_free(device) >> 20));
	free(name);
	return 0;
}

int main(int argc, char **argv)
{
	struct search search = {.error = gpualloc_error_new()};
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: by_memory SIZE [POLICY [MACHINE]]\n");
		gpualloc_error_free(search.error);
		return 64;
	}
	status = find(&search, argv[1], argc > 2 ? argv[2] : "best-fit", argc > 3 ? argv[3] : NULL);
	if (status == 0)
		status = print_name(&search);
	if (status < 0)
		fprintf(stderr, "by_memory: %s\n", gpualloc_error_message(search.error));
	gpualloc_choice_free(search.choice);
	gpualloc_request_free(search.request);
	gpualloc_policy_free(search.policy);
	gpualloc_machine_free(search.machine);
	gpualloc_error_free(search.error);
	return gpualloc_exit_status(status);
}
