/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence-exempt: who opens devices without a lease behind the administrator's fence. A line that is
 * not understood exempts nobody; what it says is a mistake, and no fence is put up with it.
 */
#include "config.h"

#include "account.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const char cgroups[] = "/sys/fs/cgroup";

static int add(struct ga_config *config, enum gpualloc_exempt kind, const char *name, int64_t id)
{
	struct ga_exempt *longer =
		reallocarray(config->exempt, config->exempt_count + 1, sizeof *longer);

	if (!longer)
		return GPUALLOC_ENOMEM;
	config->exempt = longer;
	longer += config->exempt_count;
	*longer = (struct ga_exempt){.kind = kind, .name = strdup(name), .id = id};
	if (!longer->name)
		return GPUALLOC_ENOMEM;
	config->exempt_count++;
	return 0;
}

/* By number too: a service of accounts on the network may not answer yet when the fence is put up.
 */
static int read_account(struct ga_config *config, unsigned line, enum gpualloc_exempt kind,
			const char *name)
{
	bool is_user = kind == GPUALLOC_EXEMPT_USER;
	int64_t number;
	id_t id = 0;
	int result;

	if (ga_text_number(name, strlen(name), UINT32_MAX - 1, &number))
		return add(config, kind, name, number);
	result = is_user ? ga_account_user(name, &id) : ga_account_group(name, &id);
	if (result == GPUALLOC_EUSAGE) {
		ga_config_mistake(config, line, "fence-exempt: there is no %s called \"%.60s\"",
				  is_user ? "user" : "group", name);
		return 0;
	}
	return result < 0 ? result : add(config, kind, name, id);
}

/* Whether every part is the name of a folder. */
static bool is_plain_path(const char *path)
{
	for (const char *part = path; *part; part += strcspn(part, "/")) {
		size_t size = strcspn(++part, "/");

		if (size == 0 || (size == 1 && *part == '.') || strncmp(part, "../", 3) == 0 ||
		    strcmp(part, "..") == 0)
			return false;
	}
	return true;
}

static int read_cgroup(struct ga_config *config, unsigned line, const char *path)
{
	if (ga_text_starts(path, cgroups)) {
		ga_config_mistake(
			config, line,
			"fence-exempt: give the control group's path below %s: %.200s", cgroups,
			path[sizeof cgroups - 1] ? path + sizeof cgroups - 1 : "/system.slice");
		return 0;
	}
	if (strcmp(path, "/") == 0) {
		ga_config_mistake(config, line,
				  "fence-exempt: every process is in the control group /; name a "
				  "folder below it");
		return 0;
	}
	if (*path != '/' || !is_plain_path(path)) {
		ga_config_mistake(
			config, line,
			"fence-exempt: \"%.60s\" is not the path of a control group, such "
			"as /kubepods.slice",
			path);
		return 0;
	}
	return add(config, GPUALLOC_EXEMPT_CGROUP, path, GA_UNKNOWN);
}

int ga_config_read_exempt(struct ga_config *config, unsigned line, char *value)
{
	size_t length = strcspn(value, " \t");
	char *name = value + length + strspn(value + length, " \t");

	value[length] = '\0';
	if (*name && !strpbrk(name, " \t")) {
		if (strcmp(value, "user") == 0)
			return read_account(config, line, GPUALLOC_EXEMPT_USER, name);
		if (strcmp(value, "group") == 0)
			return read_account(config, line, GPUALLOC_EXEMPT_GROUP, name);
		if (strcmp(value, "cgroup") == 0)
			return read_cgroup(config, line, name);
	}
	ga_config_mistake(config, line,
			  "fence-exempt: give one of: user NAME, group NAME, cgroup /PATH");
	return 0;
}
