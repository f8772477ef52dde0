/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's file: every directive, every mistake, and what it does to a machine. */
#include "config.h"
#include "device_state.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/gpualloc-config-XXXXXX";
static char path[64], list[64];

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), (int64_t)strlen(text));
	close(fd);
}

static void begin(void)
{
	CHECK(mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof path, "%s/c", folder);
	(void)snprintf(list, sizeof list, "%s/ids", folder);
}

static void end(struct ga_config *config)
{
	ga_config_free(config);
	(void)unlink(path);
	(void)unlink(list);
	(void)rmdir(folder);
}

static void read_config(const char *text, struct ga_config *config)
{
	write_file(path, text);
	CHECK_INT(ga_config_read(path, config, NULL), 0);
}

static void everything_that_can_be_said_is_read(void)
{
	struct ga_config config;
	char text[512];

	begin();
	write_file(list, "# ours\nGPU-1234 # the first\n\nMIG-5678\n");
	(void)snprintf(
		text, sizeof text,
		"# ours\n\nexclude = 3 # dead fan\r\n  exclude=GPU-12\ngroup = 0:1:0 %s\n"
		"max-devices = 4\nmax-hold = 2h\nagent-max-devices = 1\nagent-max-hold = 1h\nkeep = 5m\nignore-process = Xorg\n"
		"ignore-process = nvidia-cuda-mps-server\nidle-memory = 1GiB\n"
		"idle-warn = 2h\nidle-notify = /usr/local/bin/tell\n"
		"allow-list = %s\nlog = /run/log",
		"root", list);
	read_config(text, &config);
	CHECK_INT(ga_config_check(&config, NULL), 0);
	CHECK_INT(config.rule_count, 3);
	CHECK_TEXT(config.rules[0].reason, "dead fan");
	CHECK_INT(config.rules[0].line, 3);
	CHECK_TEXT(config.rules[1].id, "GPU-12");
	CHECK_TEXT(config.rules[2].group, "root");
	CHECK_INT(config.max_devices, 4);
	CHECK_INT(config.max_hold_ms, 7200000);
	CHECK_INT(config.agent_max_devices, 1);
	CHECK_INT(config.agent_max_hold_ms, 3600000);
	CHECK_INT(config.keep_ms, 300000);
	CHECK_INT(config.process_count, 2);
	CHECK_INT(config.idle_memory, INT64_C(1) << 30);
	CHECK_INT(config.idle_warn_ms, 7200000);
	CHECK_TEXT(config.idle_notify, "/usr/local/bin/tell");
	CHECK_INT(config.allowed_count, 2);
	CHECK_TEXT(config.allowed[1], "MIG-5678");
	CHECK_TEXT(config.log, "/run/log");
	end(&config);
}

static void who_is_exempt_from_the_fence_has_a_number(void)
{
	struct ga_config config;

	begin();
	read_config("fence-exempt = user root\nfence-exempt = group  root # X\n"
		    "fence-exempt = user 4711\nfence-exempt = cgroup /kubepods.slice\n"
		    "fence-exempt = cgroup /a.slice/..b/c\nfence-displays = yes\n",
		    &config);
	CHECK_INT(ga_config_check(&config, NULL), 0);
	CHECK_INT(config.exempt_count, 5);
	CHECK_INT(config.exempt[0].kind, GPUALLOC_EXEMPT_USER);
	CHECK_INT(config.exempt[0].id, 0);
	CHECK_INT(config.exempt[1].kind, GPUALLOC_EXEMPT_GROUP);
	CHECK_TEXT(config.exempt[1].name, "root");
	CHECK_INT(config.exempt[2].id, 4711);
	CHECK_INT(config.exempt[3].kind, GPUALLOC_EXEMPT_CGROUP);
	CHECK_INT(config.exempt[3].id, GA_UNKNOWN);
	CHECK_TEXT(config.exempt[4].name, "/a.slice/..b/c");
	CHECK(config.fences_displays);
	ga_config_free(&config);
	read_config("fence-displays = no\n", &config);
	CHECK_INT(ga_config_check(&config, NULL), 0);
	CHECK(!config.fences_displays);
	end(&config);
}

static void no_file_says_nothing(void)
{
	struct ga_config config;

	begin();
	CHECK_INT(ga_config_read(path, &config, NULL), 0);
	CHECK_INT(ga_config_check(&config, NULL), 0);
	ga_config_free(&config);
	CHECK_INT(ga_config_read(NULL, &config, NULL), 0);
	CHECK_INT(ga_config_check(&config, NULL), 0);
	end(&config);
}

static const struct {
	const char *line, *says;
} mistakes[] = {
	{"exclude", "\"exclude\": expected NAME = VALUE"},
	{"= 3", "\"\" is not a known setting"},
	{"exlude = 3", "\"exlude\" is not a known setting"},
	{"exclude =", "exclude: \"\" is not a device"},
	{"exclude = foo", "exclude: \"foo\" is not a device"},
	{"exclude = GPU-", "exclude: \"GPU-\" is not a device"},
	{"exclude = 0,1", "exclude: \"0,1\" is not a device"},
	{"group = 0", "group: give a device and the name of a group"},
	{"group = 0 a b", "group: give a device and the name of a group"},
	{"group = x root", "group: \"x\" is not a device"},
	{"group = 0 no-such-group-here", "there is no group called \"no-such-group-here\""},
	{"max-devices = -1", "max-devices: \"-1\" is not a number of devices"},
	{"max-devices = many", "max-devices: \"many\" is not a number of devices"},
	{"max-hold = 2", "max-hold: \"2\" has no unit"},
	{"max-hold = 0s", "max-hold: \"0s\" is too short"},
	{"max-hold = 1:30", "write 1h30m or 1m30s"},
	{"max-hold = h", "max-hold: \"h\" is not a duration"},
	{"keep = 99999999999999999999d", "keep: \"99999999999999999999d\" is not a duration"},
	{"keep =", "keep: \"\" is not a duration"},
	{"ignore-process =", "ignore-process: give the name of a program"},
	{"ignore-process = /usr/bin/X", "ignore-process: give the name of a program"},
	{"idle-memory = lots", "idle-memory: "},
	{"idle-memory = 600", "did you mean 600MB?"},
	{"allow-list = ids", "allow-list: give a path from the root"},
	{"allow-list = /nonexistent/ids", "/nonexistent/ids: No such file or directory"},
	{"allow-list = /dev", "/dev: is not a regular file"},
	{"fence-exempt =", "fence-exempt: give one of: user NAME, group NAME, cgroup /PATH"},
	{"fence-exempt = user", "fence-exempt: give one of"},
	{"fence-exempt = user a b", "fence-exempt: give one of"},
	{"fence-exempt = root", "fence-exempt: give one of"},
	{"fence-exempt = user no-such-user-here", "there is no user called \"no-such-user-here\""},
	{"fence-exempt = user 4294967295", "there is no user called \"4294967295\""},
	{"fence-exempt = group no-such-group-here",
	 "there is no group called \"no-such-group-here\""},
	{"fence-exempt = cgroup kubepods", "\"kubepods\" is not the path of a control group"},
	{"fence-exempt = cgroup /", "every process is in the control group /"},
	{"fence-exempt = cgroup /a/../b", "\"/a/../b\" is not the path"},
	{"fence-exempt = cgroup /a/..", "\"/a/..\" is not the path"},
	{"fence-exempt = cgroup /a//b", "\"/a//b\" is not the path"},
	{"fence-exempt = cgroup /a/", "\"/a/\" is not the path"},
	{"fence-exempt = cgroup /sys/fs/cgroup/a.slice", "below /sys/fs/cgroup: /a.slice"},
	{"fence-displays = maybe", "fence-displays: \"maybe\" is neither yes nor no"},
	{"fence-displays = no\nfence-displays = no", "fence-displays appears twice"},
	{"log =", "log: give a path from the root"},
	{"keep = 1s\nkeep = 2s", "keep appears twice"},
	{"\x01\x02\xff", "expected NAME = VALUE"},
};

static void every_mistake_is_named_with_its_line(void)
{
	begin();
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		struct ga_config config;
		gpualloc_error error = {0};
		char place[96];

		test_about("%s", mistakes[i].line);
		read_config(mistakes[i].line, &config);
		CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
		CHECK_INT(config.mistake_count, 1);
		CHECK_HAS(error.message, mistakes[i].says);
		(void)snprintf(place, sizeof place, "%s:%d: ", path,
			       strchr(mistakes[i].line, '\n') ? 2 : 1);
		CHECK_HAS(error.message, place);
		ga_config_free(&config);
	}
	end(&(struct ga_config){0});
}

static void all_mistakes_are_named_at_once(void)
{
	struct ga_config config;
	gpualloc_error error = {0};
	char text[4000] = "max-devices = 2\n";

	begin();
	read_config("a = 1\nmax-devices = 2\nb = 2\n", &config);
	CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "c:1: \"a\" is not a known setting");
	CHECK_HAS(error.message, "c:3: \"b\" is not a known setting");
	CHECK_INT(config.max_devices, 2); /* the correct lines still apply */
	ga_config_free(&config);
	for (int i = 0; i < 300; i++)
		(void)strcat(text, "no = good\n");
	read_config(text, &config);
	CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_INT(config.mistake_count, 300);
	CHECK_HAS(error.message, " more mistakes");
	end(&config);
}

static void a_list_of_what_is_allowed_is_checked_too(void)
{
	struct ga_config config;
	gpualloc_error error = {0};
	char text[128];

	begin();
	write_file(list, "GPU-1\n0\nnonsense\n");
	(void)snprintf(text, sizeof text, "allow-list = %s\n", list);
	read_config(text, &config);
	CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "ids:2: \"0\" is not the UUID");
	CHECK_HAS(error.message, "ids:3: \"nonsense\" is not the UUID");
	CHECK_INT(config.allowed_count, 1);
	end(&config);
}

static void what_others_can_write_is_not_believed(void)
{
	struct ga_config config;
	gpualloc_error error = {0};

	begin();
	write_file(path, "max-devices = 2\n");
	CHECK_INT(chmod(path, 0664), 0);
	CHECK_INT(ga_config_read(path, &config, NULL), 0);
	CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "c: can be written by users other than its owner");
	CHECK_INT(config.max_devices, GA_UNKNOWN);
	ga_config_free(&config);
	if (geteuid() == 0) {
		CHECK_INT(chmod(path, 0644), 0);
		CHECK_INT(chown(path, 65534, 65534), 0);
		CHECK_INT(ga_config_read(path, &config, NULL), 0);
		CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
		CHECK_HAS(error.message, "c: belongs to neither root nor you");
		ga_config_free(&config);
	}
	CHECK_INT(unlink(path), 0);
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(ga_config_read(path, &config, NULL), 0);
	CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "c: is not a regular file");
	end(&config);
}

/* Four GPUs; the last is in MIG mode with two instances. */
static gpualloc_machine *make_machine(void)
{
	gpualloc_machine *machine = NULL;
	char uuid[24];

	CHECK_INT(ga_machine_new(4, &machine, NULL), 0);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(uuid, sizeof uuid, "GPU-%da", i);
		CHECK_INT(ga_set_text(&machine->devices[i].uuid, uuid), 0);
	}
	machine->devices[3].mig_enabled = true;
	for (int m = 0; m < 2; m++) {
		struct gpualloc_device *mig = ga_device_add_mig(&machine->devices[3]);

		mig->gi = 7 + m;
		mig->ci = 0;
		(void)snprintf(uuid, sizeof uuid, "MIG-%da", m);
		CHECK_INT(ga_set_text(&mig->uuid, uuid), 0);
	}
	CHECK_INT(ga_machine_finish(machine, NULL), 0);
	return machine;
}

static void check_device(const struct gpualloc_device *device, const char *reason)
{
	char text[256];

	CHECK_INT(ga_device_state(device), !*reason             ? GPUALLOC_STATE_FREE
					   : device->is_drained ? GPUALLOC_STATE_DRAINED
								: GPUALLOC_STATE_EXCLUDED);
	(void)ga_device_reason(device, text, sizeof text);
	CHECK_TEXT(text, reason);
}

static void rules_reach_devices(void)
{
	struct ga_config config;
	gpualloc_machine *machine = make_machine();

	begin();
	read_config("exclude = 0 # dead fan\nexclude = gpu-1a\nexclude = GPU-1\nexclude = 3:7:0\n"
		    "exclude = GPU-gone\n",
		    &config);
	CHECK_INT(config.mistake_count, 1); /* "gpu-1a" */
	CHECK_INT(ga_config_apply(&config, machine, NULL), 0);
	CHECK_INT(config.mistake_count, 1);
	check_device(&machine->devices[0], "dead fan");
	check_device(&machine->devices[1], "taken out of use");
	check_device(&machine->devices[2], "");
	check_device(&machine->devices[3].mig[0], "taken out of use");
	check_device(&machine->devices[3].mig[1], "");
	CHECK_HAS(machine->notes[0], "c:5: there is no device GPU-gone on this machine");
	ga_machine_free(machine);
	end(&config);
}

static void groups_keep_devices_for_themselves(void)
{
	struct ga_config config;
	gpualloc_machine *machine = make_machine();

	begin();
	read_config("group = 0 root\ngroup = 1 root\ngroup = 1 daemon\nexclude = 1 # dead\n"
		    "group = 2 root\ngroup = 2 daemon\n",
		    &config);
	CHECK_INT(config.mistake_count, 0);
	for (size_t i = 0; i < config.rule_count; i++)
		config.rules[i].is_for_us = i == 1 || i == 5;
	CHECK_INT(ga_config_apply(&config, machine, NULL), 0);
	check_device(&machine->devices[0], "only for members of the group root");
	CHECK(machine->devices[0].is_for_others);
	check_device(&machine->devices[1], "dead");
	CHECK(!machine->devices[1].is_for_others);
	check_device(&machine->devices[2], "");
	ga_machine_free(machine);
	end(&config);
}

static void a_number_that_names_nothing_is_a_mistake(void)
{
	struct ga_config config;
	gpualloc_error error = {0};
	gpualloc_machine *machine = make_machine();

	begin();
	read_config("exclude = 1\nexclude = 17\n", &config);
	CHECK_INT(ga_config_apply(&config, machine, NULL), 0);
	CHECK_INT(ga_config_check(&config, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "c:2: ");
	CHECK_HAS(error.message, "17");
	check_device(&machine->devices[1], "taken out of use");
	ga_machine_free(machine);
	end(&config);
}

static void only_what_is_listed_may_be_had(void)
{
	struct ga_config config;
	gpualloc_machine *machine = make_machine();
	char text[128], reason[128];

	begin();
	write_file(list, "GPU-0A\nMIG-1a\nGPU-2\n");
	(void)snprintf(text, sizeof text, "allow-list = %s\n", list);
	(void)snprintf(reason, sizeof reason, "not listed in %s", list);
	read_config(text, &config);
	CHECK_INT(ga_config_apply(&config, machine, NULL), 0);
	check_device(&machine->devices[0], "");
	check_device(&machine->devices[1], reason);
	check_device(&machine->devices[2], reason); /* a UUID's prefix is not a UUID */
	check_device(&machine->devices[3].mig[0], reason);
	check_device(&machine->devices[3].mig[1], "");
	ga_machine_free(machine);
	end(&config);
}

static void some_use_is_none(void)
{
	struct ga_config config;
	gpualloc_machine *machine = make_machine();
	static const char *const names[] = {"Xorg", "/usr/lib/xorg/Xorg", "/home/x/Xorg-not"};

	begin();
	for (int i = 0; i < 3; i++)
		CHECK_INT(ga_set_text(&ga_device_add_process(&machine->devices[i])->name, names[i]),
			  0);
	machine->devices[3].mig[0].processes_hidden = true;
	machine->devices[3].mig[0].memory.used = 2000;
	read_config("ignore-process = Xorg\nidle-memory = 1000B\n", &config);
	CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_IN_USE);
	CHECK_INT(ga_device_state(&machine->devices[3].mig[0]), GPUALLOC_STATE_FREE);
	CHECK_INT(ga_config_apply(&config, machine, NULL), 0);
	CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_FREE);
	CHECK_INT(ga_device_state(&machine->devices[1]), GPUALLOC_STATE_FREE);
	CHECK_INT(ga_device_state(&machine->devices[2]), GPUALLOC_STATE_IN_USE);
	CHECK_INT(ga_device_state(&machine->devices[3].mig[0]), GPUALLOC_STATE_IN_USE);
	ga_machine_free(machine);
	end(&config);
}

static void another_machine_heeds_only_a_file_that_is_named(void)
{
	CHECK_INT(unsetenv("GPUALLOC_CONFIG"), 0);
	CHECK_TEXT(ga_config_path(true), GA_CONFIG_DEFAULT);
	CHECK(ga_config_path(false) == NULL);
	CHECK_INT(setenv("GPUALLOC_CONFIG", "/a/b", 1), 0);
	CHECK_TEXT(ga_config_path(true), "/a/b");
	CHECK_TEXT(ga_config_path(false), "/a/b");
}

static const struct test_case cases[] = {
	{"everything that can be said is read", everything_that_can_be_said_is_read},
	{"who is exempt from the fence has a number", who_is_exempt_from_the_fence_has_a_number},
	{"no file says nothing", no_file_says_nothing},
	{"every mistake is named with its line", every_mistake_is_named_with_its_line},
	{"all mistakes are named at once", all_mistakes_are_named_at_once},
	{"a list of what is allowed is checked too", a_list_of_what_is_allowed_is_checked_too},
	{"what others can write is not believed", what_others_can_write_is_not_believed},
	{"rules reach devices", rules_reach_devices},
	{"groups keep devices for themselves", groups_keep_devices_for_themselves},
	{"a number that names nothing is a mistake", a_number_that_names_nothing_is_a_mistake},
	{"only listed devices may be leased", only_what_is_listed_may_be_had},
	{"some use does not count", some_use_is_none},
	{"another machine heeds only a file that is named",
	 another_machine_heeds_only_a_file_that_is_named},
};
TEST_MAIN(cases)
