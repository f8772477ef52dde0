/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are in a pod: by the names of control groups, in folders like a real /proc. */
#include "host.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static const char *path_of(const char *path)
{
	static char text[256];

	(void)snprintf(text, sizeof text, "%s%s", root, path);
	return text;
}

static void begin(void)
{
	(void)snprintf(root, sizeof root, "/tmp/gpualloc-in-pod-XXXXXX");
	CHECK(mkdtemp(root) != NULL);
	CHECK_INT(mkdir(path_of("/proc"), 0700), 0);
	CHECK_INT(mkdir(path_of("/proc/42"), 0700), 0);
	CHECK_INT(mkdir(path_of("/proc/self"), 0700), 0);
	CHECK_INT(mkdir(path_of("/proc/self/ns"), 0700), 0);
	CHECK_INT(symlink("pid:[4026531836]", path_of("/proc/self/ns/pid")), 0);
}

static void end(void)
{
	char command[96];

	(void)snprintf(command, sizeof command, "rm -rf '%s'", root);
	CHECK_INT(system(command), 0); /* NOLINT: a path of our own making */
}

static bool is_in_pod(const char *groups)
{
	gpualloc_machine machine = {0};
	struct gpualloc_device device = {.numa = -1};
	struct gpualloc_process process = {.pid = 42};
	FILE *file = fopen(path_of("/proc/42/cgroup"), "w");

	test_about("%s", groups);
	CHECK(file && fputs(groups, file) >= 0 && fclose(file) == 0);
	device.processes = &process;
	device.process_count = 1;
	machine.devices = &device;
	machine.device_count = 1;
	CHECK_INT(ga_host_processes(root, &machine), 0);
	CHECK(process.user != NULL);
	free(process.user);
	free(process.name);
	return process.in_pod;
}

static void kubelets_groups_are_known(void)
{
	begin();
	CHECK(is_in_pod("0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-1.scope\n"));
	CHECK(is_in_pod("0::/kubepods/besteffort/pod5/7\n"));
	CHECK(is_in_pod("0::/kubelet.slice/kubelet-kubepods.slice/x.scope\n"));
	CHECK(is_in_pod("12:devices:/kubepods/pod1/2\n3:cpu,cpuacct:/kubepods/pod1/2\n0::/\n"));
	end();
}

static void others_are_not(void)
{
	begin();
	CHECK(!is_in_pod("0::/user.slice/user-1000.slice/session-1.scope\n"));
	CHECK(!is_in_pod("0::/user.slice/user-1000.slice/user@1000.service/kubepods.slice/x\n"));
	CHECK(!is_in_pod("0::/system.slice/kubelet.service\n"));
	CHECK(!is_in_pod("0::/system.slice/docker-kubepods.scope\n"));
	CHECK(!is_in_pod("0::/\n"));
	CHECK(!is_in_pod(""));
	end();
}

static const struct test_case cases[] = {
	{"the kubelet's groups are known", kubelets_groups_are_known},
	{"others are not", others_are_not},
};

TEST_MAIN(cases)
