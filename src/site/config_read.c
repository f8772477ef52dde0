/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration; see config.h. */
#include "config.h"

#include "account.h"
#include "duration.h"
#include "held.h"
#include "owner.h"
#include "size.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, GROUPS_MAX = 65536 };

struct reading {
	struct ga_config *config;
	unsigned line;
	uint64_t seen; /* one bit for each directive */
	const char *name;
	char *value;   /* clean; "" if there is none */
	char *comment; /* clean; "" if there is none */
};

/* ---- files that can be trusted ---- */

/* Anybody who can write to the file decides who gets which GPU. 0, or an errno with the reason. */
static int open_trusted(const char *path, int *ret_fd, size_t *ret_size, const char **ret_reason)
{
	ga_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;

	*ret_reason = NULL;
	if (fd < 0 || fstat(fd, &status) < 0)
		return errno;
	if (!S_ISREG(status.st_mode))
		*ret_reason = "is not a regular file";
	else if (!ga_is_trusted_owner(fd, &status))
		*ret_reason = "belongs to neither root nor you";
	else if (status.st_mode & (S_IWGRP | S_IWOTH))
		*ret_reason = "can be written by users other than its owner";
	else if (status.st_size > FILE_MAX)
		*ret_reason = "is larger than 1 MiB";
	if (*ret_reason)
		return EPERM;
	*ret_size = (size_t)status.st_size;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* False if it could not be read. That counts as a mistake, except ENOENT with may_lack. */
static bool read_trusted(struct ga_config *config, unsigned line, const char *path, bool may_lack,
			 struct ga_buffer *content)
{
	ga_auto_close int fd = -1;
	const char *reason;
	size_t size = 0;
	int number = open_trusted(path, &fd, &size, &reason);
	ssize_t got = 0;

	if (number == 0 && size > 0) {
		char *room = ga_buffer_room(content, size);

		got = room ? read(fd, room, size) : -1;
		if (got >= 0)
			ga_buffer_grew(content, (size_t)got);
		number = got < 0 ? errno : 0;
	}
	if (number == 0)
		return true;
	if (may_lack && (number == ENOENT || number == ENOTDIR))
		return false;
	if (!reason)
		reason = strerrordesc_np(number);
	if (line > 0)
		ga_config_mistake(config, line, "%s: %s", path, reason ? reason : "cannot be read");
	else
		ga_config_mistake(config, 0, "%s", reason ? reason : "cannot be read");
	return false;
}

/* ---- values ---- */

static bool is_uuid(const char *text)
{
	return ga_text_is_bare_uuid(text, strlen(text)) ||
	       ((ga_text_starts(text, "GPU-") || ga_text_starts(text, "MIG-")) && text[4] &&
		!strpbrk(text, ", \t"));
}

/*
 * Whether it could be a device; the machine says whether it is. Only a single one is allowed: if
 * part of a list were missing, its meaning would be unclear.
 */
static bool is_id(const char *text)
{
	return is_uuid(text) || (isxdigit((unsigned char)*text) &&
				 text[strspn(text, "0123456789abcdefABCDEFx:.-")] == '\0');
}

static int add_rule(const struct reading *reading, const char *id, const char *group,
		    bool is_for_us)
{
	struct ga_config *config = reading->config;
	struct ga_rule *rules, rule = {.line = reading->line, .is_for_us = is_for_us};

	rules = reallocarray(config->rules, config->rule_count + 1, sizeof *rules);
	if (!rules)
		return GPUALLOC_ENOMEM;
	config->rules = rules;
	rule.id = strdup(id);
	if (!rule.id)
		return GPUALLOC_ENOMEM;
	rules[config->rule_count] = rule;
	config->rule_count++;
	if (group)
		return ga_set_text(&rules[config->rule_count - 1].group, group);
	return ga_set_text(&rules[config->rule_count - 1].reason, reading->comment);
}

static int no_id(const struct reading *reading, const char *id)
{
	ga_config_mistake(
		reading->config, reading->line,
		"%s: \"%.60s\" is not a device; give one index, UUID, PCI address, or GPU:GI:CI "
		"of an instance per line",
		reading->name, id);
	return 0;
}

static int read_exclude(struct reading *reading)
{
	return is_id(reading->value) ? add_rule(reading, reading->value, NULL, false)
				     : no_id(reading, reading->value);
}

static bool is_in_group(gid_t group)
{
	ga_auto_free gid_t *groups = NULL;
	int count = getgroups(0, NULL);

	if (group == getegid())
		return true;
	if (count <= 0 || count > GROUPS_MAX || !(groups = calloc((size_t)count, sizeof *groups)))
		return false;
	count = getgroups(count, groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static int read_group(struct reading *reading)
{
	size_t length = strcspn(reading->value, " \t");
	char *name = reading->value + length + strspn(reading->value + length, " \t");
	gid_t group;
	int result;

	reading->value[length] = '\0';
	if (!is_id(reading->value))
		return no_id(reading, reading->value);
	if (!*name || strpbrk(name, " \t")) {
		ga_config_mistake(reading->config, reading->line,
				  "group: give a device and the name of a group");
		return 0;
	}
	result = ga_account_group(name, &group);
	if (result == GPUALLOC_EUSAGE) {
		ga_config_mistake(reading->config, reading->line,
				  "group: there is no group called \"%.60s\"", name);
		/* We do not know whose it is, but it is not for everybody. */
		return add_rule(reading, reading->value, name, false);
	}
	return result < 0 ? result : add_rule(reading, reading->value, name, is_in_group(group));
}

static int read_count(struct reading *reading, int64_t *ret_count)
{
	if (!ga_text_number(reading->value, strlen(reading->value), INT32_MAX, ret_count))
		ga_config_mistake(reading->config, reading->line,
				  "%s: \"%.60s\" is not a number of devices", reading->name,
				  reading->value);
	return 0;
}

static int read_max_devices(struct reading *reading)
{
	return read_count(reading, &reading->config->max_devices);
}

static int read_agent_max_devices(struct reading *reading)
{
	return read_count(reading, &reading->config->agent_max_devices);
}

static int read_duration(struct reading *reading, int64_t *ret_ms)
{
	gpualloc_error why = {0};

	if (ga_duration_parse(reading->value, GA_DURATION_MAX, ret_ms, &why) < 0)
		ga_config_mistake(reading->config, reading->line, "%s: %s", reading->name,
				  why.message);
	return 0;
}

static int read_max_hold(struct reading *reading)
{
	return read_duration(reading, &reading->config->max_hold_ms);
}

static int read_agent_max_hold(struct reading *reading)
{
	return read_duration(reading, &reading->config->agent_max_hold_ms);
}

static int read_keep(struct reading *reading)
{
	return read_duration(reading, &reading->config->keep_ms);
}

static int read_idle_warn(struct reading *reading)
{
	return read_duration(reading, &reading->config->idle_warn_ms);
}

static int read_ignore_process(struct reading *reading)
{
	struct ga_config *config = reading->config;

	if (!*reading->value || strchr(reading->value, '/')) {
		ga_config_mistake(config, reading->line,
				  "ignore-process: give the name of a program, without its folder");
		return 0;
	}
	return ga_add_text(&config->processes, &config->process_count, reading->value);
}

static int read_idle_memory(struct reading *reading)
{
	gpualloc_error why = {0};

	if (ga_size_parse(reading->value, &reading->config->idle_memory, &why) < 0)
		ga_config_mistake(reading->config, reading->line, "idle-memory: %s", why.message);
	return 0;
}

static int read_path(struct reading *reading, char **field)
{
	if (*reading->value != '/') {
		ga_config_mistake(reading->config, reading->line,
				  "%s: give a path from the root, /...", reading->name);
		return 0;
	}
	return ga_set_text(field, reading->value);
}

static int read_idle_notify(struct reading *reading)
{
	return read_path(reading, &reading->config->idle_notify);
}

static int read_fence(struct reading *reading)
{
	reading->config->fences_jobs = strcmp(reading->value, "job") == 0;
	if (!reading->config->fences_jobs)
		ga_config_mistake(reading->config, reading->line,
				  "fence: \"%.60s\" is not known; the only kind is job",
				  reading->value);
	return 0;
}

static int read_fence_exempt(struct reading *reading)
{
	return ga_config_read_exempt(reading->config, reading->line, reading->value);
}

static int read_fence_displays(struct reading *reading)
{
	bool is_yes = strcmp(reading->value, "yes") == 0;

	if (!is_yes && strcmp(reading->value, "no") != 0)
		ga_config_mistake(reading->config, reading->line,
				  "fence-displays: \"%.60s\" is neither yes nor no",
				  reading->value);
	reading->config->fences_displays = is_yes;
	return 0;
}

static int read_log(struct reading *reading)
{
	return read_path(reading, &reading->config->log);
}

static int read_allow_list(struct reading *reading)
{
	struct ga_config *config = reading->config;
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(FILE_MAX);
	struct ga_view rest, line;
	int result = read_path(reading, &config->allow_list);

	if (result < 0 || !config->allow_list ||
	    !read_trusted(config, reading->line, config->allow_list, false, &content))
		return result;
	rest = (struct ga_view){content.data, content.size};
	for (unsigned number = 1; result == 0 && ga_view_line(&rest, &line); number++) {
		struct ga_view entry = ga_view_entry(line);
		ga_auto_free char *uuid = ga_text_clean(entry.text, entry.size);

		if (!uuid)
			return GPUALLOC_ENOMEM;
		if (!*uuid)
			continue;
		if (!is_uuid(uuid))
			ga_config_mistake(
				config, reading->line,
				"%s:%u: \"%.60s\" is not the UUID of a GPU or an instance",
				config->allow_list, number, uuid);
		else
			result = ga_add_text(&config->allowed, &config->allowed_count, uuid);
	}
	return result;
}

/* ---- lines ---- */

static const struct directive {
	const char *name;
	bool once;
	int (*read)(struct reading *reading); /* 0 or GPUALLOC_ENOMEM */
} directives[] = {
	{"exclude", false, read_exclude},
	{"group", false, read_group},
	{"max-devices", true, read_max_devices},
	{"max-hold", true, read_max_hold},
	{"agent-max-devices", true, read_agent_max_devices},
	{"agent-max-hold", true, read_agent_max_hold},
	{"keep", true, read_keep},
	{"ignore-process", false, read_ignore_process},
	{"idle-memory", true, read_idle_memory},
	{"idle-warn", true, read_idle_warn},
	{"idle-notify", true, read_idle_notify},
	{"allow-list", true, read_allow_list},
	{"fence", true, read_fence},
	{"fence-exempt", false, read_fence_exempt},
	{"fence-displays", true, read_fence_displays},
	{"log", true, read_log},
};

static int read_directive(struct reading *reading)
{
	for (size_t i = 0; i < sizeof directives / sizeof *directives; i++) {
		if (strcmp(directives[i].name, reading->name) != 0)
			continue;
		if (directives[i].once && reading->seen & (UINT64_C(1) << i)) {
			ga_config_mistake(reading->config, reading->line, "%s appears twice",
					  reading->name);
			return 0;
		}
		reading->seen |= UINT64_C(1) << i;
		return directives[i].read(reading);
	}
	ga_config_mistake(reading->config, reading->line,
			  "\"%.60s\" is not a known setting; see gpualloc.conf(5)", reading->name);
	return 0;
}

static int read_line(struct reading *reading, struct ga_view line)
{
	const char *hash = line.size ? memchr(line.text, '#', line.size) : NULL;
	size_t length = hash ? (size_t)(hash - line.text) : line.size;
	const char *equals = length ? memchr(line.text, '=', length) : NULL;
	size_t name_length = equals ? (size_t)(equals - line.text) : length;
	ga_auto_free char *name = ga_text_clean(line.text, name_length);
	ga_auto_free char *value =
		equals ? ga_text_clean(equals + 1, length - name_length - 1) : strdup("");
	ga_auto_free char *comment =
		hash ? ga_text_clean(hash + 1, line.size - length - 1) : strdup("");

	if (!name || !value || !comment)
		return GPUALLOC_ENOMEM;
	if (!*name && !equals)
		return 0;
	reading->name = name;
	reading->value = value;
	reading->comment = comment;
	if (equals)
		return read_directive(reading);
	ga_config_mistake(reading->config, reading->line, "\"%.60s\": expected NAME = VALUE", name);
	return 0;
}

int ga_config_read(const char *path, struct ga_config *ret_config, gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(FILE_MAX);
	struct reading reading = {.config = ret_config};
	struct ga_view rest, line;
	int result = 0;

	*ret_config = (struct ga_config){.max_devices = GA_UNKNOWN,
					 .max_hold_ms = GA_UNKNOWN,
					 .agent_max_devices = GA_UNKNOWN,
					 .agent_max_hold_ms = GA_UNKNOWN,
					 .keep_ms = GA_UNKNOWN,
					 .idle_memory = GA_UNKNOWN,
					 .idle_warn_ms = GA_UNKNOWN,
					 .mistakes = GA_BUFFER_INIT(GA_ERROR_SIZE)};
	ret_config->path = path ? strdup(path) : NULL;
	if (path && !ret_config->path)
		return ga_error_memory(error);
	if (!path || !read_trusted(ret_config, 0, path, true, &content))
		return 0;
	rest = (struct ga_view){content.data, content.size};
	while (result == 0 && ga_view_line(&rest, &line)) {
		reading.line++;
		result = read_line(&reading, line);
	}
	return result < 0 ? ga_error_memory(error) : 0;
}
