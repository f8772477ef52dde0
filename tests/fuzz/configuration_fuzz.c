/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration, and after a line "%%" the list that `allow-list = /proc/self/fd/101` names. Only
 * what the two allow can be leased, and every mistake is reported with its line.
 */
#include "config.h"
#include "fuzz.h"
#include "fuzz_store.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CONFIG_FD = 100, LIST_FD = 101 };

static void put(int number, const uint8_t *data, size_t size)
{
	static bool is_made[2];
	bool *made = &is_made[number - CONFIG_FD];

	if (!*made) {
		int fd = memfd_create("fuzz", MFD_CLOEXEC);

		fuzz_require(fd >= 0 && fchmod(fd, 0600) == 0 && dup2(fd, number) == number,
			     "a file in memory");
		close(fd);
	}
	*made = true;
	fuzz_require(ftruncate(number, 0) == 0 && pwrite(number, data, size, 0) == (ssize_t)size,
		     "it can be written");
}

static void check_config(const struct ga_config *config)
{
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct ga_rule *rule = &config->rules[i];

		fuzz_require(rule->line > 0 && rule->id && *rule->id, "a rule is about a device");
		fuzz_require(!rule->group || *rule->group, "a group has a name");
		fuzz_require_clean(rule->id);
		fuzz_require_clean(rule->reason);
		fuzz_require_clean(rule->group);
	}
	for (size_t i = 0; i < config->exempt_count; i++) {
		const struct ga_exempt *exempt = &config->exempt[i];
		bool is_cgroup = exempt->kind == GPUALLOC_EXEMPT_CGROUP;

		fuzz_require_clean(exempt->name);
		fuzz_require(is_cgroup == (exempt->id == GA_UNKNOWN), "accounts have numbers");
		fuzz_require(exempt->id < (int64_t)UINT32_MAX, "and not that of nobody at all");
		fuzz_require(!is_cgroup || (*exempt->name == '/' && exempt->name[1] &&
					    !strstr(exempt->name, "/../")),
			     "a control group is below the first");
	}
	for (size_t i = 0; i < config->process_count; i++)
		fuzz_require(*config->processes[i] && !strchr(config->processes[i], '/'),
			     "a program has a name");
	for (size_t i = 0; i < config->allowed_count; i++)
		fuzz_require(ga_text_starts(config->allowed[i], "GPU-") ||
				     ga_text_starts(config->allowed[i], "MIG-"),
			     "UUIDs and nothing else are allowed");
	fuzz_require(config->allowed_count == 0 || config->allow_list, "a list has a file");
	fuzz_require(config->max_devices >= GA_UNKNOWN && config->idle_memory >= GA_UNKNOWN,
		     "numbers, or unknown");
	fuzz_require(config->max_hold_ms == GA_UNKNOWN || config->max_hold_ms > 0, "some time");
	fuzz_require(config->keep_ms == GA_UNKNOWN || config->keep_ms > 0, "some time");
}

static bool is_allowed(const struct ga_config *config, const gpualloc_device *device)
{
	for (; device; device = device->parent)
		for (size_t i = 0; i < config->allowed_count; i++)
			if (strcasecmp(config->allowed[i], device->uuid) == 0)
				return true;
	return false;
}

static void check_device(const struct ga_config *config, const gpualloc_device *device)
{
	fuzz_require_clean(device->excluded);
	fuzz_require(device->excluded || !device->is_for_others, "kept for others with a reason");
	if (config->allow_list && !device->mig_enabled && !is_allowed(config, device))
		fuzz_require(device->excluded, "devices that are not listed cannot be leased");
	for (size_t i = 0; i < config->rule_count; i++)
		if (!config->rules[i].group && strcasecmp(config->rules[i].id, device->uuid) == 0)
			fuzz_require(device->excluded && !device->is_for_others,
				     "excluded devices cannot be leased");
}

static void check_applied(struct ga_config *config)
{
	ga_auto_machine gpualloc_machine *machine = fuzz_machine();
	gpualloc_error error = {0};
	int result;

	fuzz_require(ga_config_apply(config, machine, &error) == 0, "there is memory");
	for (size_t i = 0; i < machine->device_count; i++) {
		const gpualloc_device *gpu = &machine->devices[i];

		check_device(config, gpu);
		for (size_t m = 0; m < gpu->mig_count; m++)
			check_device(config, &gpu->mig[m]);
	}
	result = ga_config_check(config, &error);
	fuzz_require((result == 0) == (config->mistake_count == 0), "every mistake counts");
	fuzz_check_result(result, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *list = size > 0 ? memmem(data, size, "%%\n", 3) : NULL;
	size_t length = list ? (size_t)(list - data) : size;
	ga_auto_config struct ga_config config = {0};

	put(CONFIG_FD, data, length);
	put(LIST_FD, list ? list + 3 : data, list ? size - length - 3 : 0);
	fuzz_require(ga_config_read("/proc/self/fd/100", &config, NULL) == 0, "there is memory");
	check_config(&config);
	check_applied(&config);
	return 0;
}
