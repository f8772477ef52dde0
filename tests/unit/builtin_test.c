/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in machines: facts about each as its maker prints them, and what holds for all. */
#include "cleanup.h"
#include "machine_file.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

enum { MACHINES = 9 };

static gpualloc_machine *make(const char *name)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	size_t i = 0;

	while (ga_source_builtin.machine_name(i) &&
	       strcmp(ga_source_builtin.machine_name(i), name) != 0)
		i++;
	test_about("%s", name);
	CHECK_TEXT(ga_source_builtin.machine_name(i), name);
	CHECK_INT(ga_source_builtin.make(i, &machine, &error), 0);
	CHECK_TEXT(error.message, "");
	CHECK_TEXT(machine->name, name);
	return machine;
}

static void check_row(const gpualloc_machine *machine, size_t i, const char *levels,
		      const char *nvlinks)
{
	char seen_levels[512] = "", seen_nvlinks[512] = "";
	size_t a = 0, b = 0;

	for (size_t j = 0; j < machine->device_count; j++) {
		const char *blank = j ? " " : "";

		a += (size_t)snprintf(seen_levels + a, sizeof seen_levels - a, "%s%s", blank,
				      ga_level_name(ga_links_level(&machine->links, i, j)));
		b += (size_t)snprintf(seen_nvlinks + b, sizeof seen_nvlinks - b, "%s%d", blank,
				      ga_links_nvlinks(&machine->links, i, j));
	}
	CHECK_TEXT(seen_levels, levels);
	CHECK_TEXT(seen_nvlinks, nvlinks);
}

static void check_place(const gpualloc_machine *machine, size_t i, int64_t numa, const char *cpus)
{
	CHECK_INT(machine->devices[i].numa, numa);
	CHECK_TEXT(machine->devices[i].cpus, cpus);
}

static int64_t mib(int64_t bytes)
{
	return bytes % (1 << 20) == 0 ? bytes >> 20 : -1;
}

static void dgx1_pascal(void)
{
	ga_auto_machine gpualloc_machine *machine = make("dgx1-pascal");

	CHECK_INT(machine->device_count, 8);
	check_row(machine, 0, "X PHB PIX PHB SYS SYS SYS SYS", "0 1 1 1 1 0 0 0");
	check_row(machine, 1, "PHB X PHB PIX SYS SYS SYS SYS", "1 0 1 1 0 1 0 0");
	check_row(machine, 2, "PIX PHB X PHB SYS SYS SYS SYS", "1 1 0 1 0 0 1 0");
	check_row(machine, 3, "PHB PIX PHB X SYS SYS SYS SYS", "1 1 1 0 0 0 0 1");
	check_row(machine, 4, "SYS SYS SYS SYS X PHB PIX PHB", "1 0 0 0 0 1 1 1");
	check_row(machine, 5, "SYS SYS SYS SYS PHB X PHB PIX", "0 1 0 0 1 0 1 1");
	check_row(machine, 6, "SYS SYS SYS SYS PIX PHB X PHB", "0 0 1 0 1 1 0 1");
	check_row(machine, 7, "SYS SYS SYS SYS PHB PIX PHB X", "0 0 0 1 1 1 1 0");
	check_place(machine, 3, 0, "0-19,40-59");
	check_place(machine, 4, 1, "20-39,60-79");
	CHECK_TEXT(machine->devices[0].name, "Tesla P100-SXM2-16GB");
	CHECK_INT(machine->devices[0].nvlink_version, 1);
}

static void dgx1_volta(void)
{
	ga_auto_machine gpualloc_machine *machine = make("dgx1-volta");

	CHECK_INT(machine->device_count, 8);
	check_row(machine, 0, "X PIX PHB PHB SYS SYS SYS SYS", "0 1 1 2 2 0 0 0");
	check_row(machine, 1, "PIX X PHB PHB SYS SYS SYS SYS", "1 0 2 1 0 2 0 0");
	check_row(machine, 2, "PHB PHB X PIX SYS SYS SYS SYS", "1 2 0 2 0 0 1 0");
	check_row(machine, 3, "PHB PHB PIX X SYS SYS SYS SYS", "2 1 2 0 0 0 0 1");
	check_row(machine, 4, "SYS SYS SYS SYS X PIX PHB PHB", "2 0 0 0 0 1 1 2");
	check_row(machine, 5, "SYS SYS SYS SYS PIX X PHB PHB", "0 2 0 0 1 0 2 1");
	check_row(machine, 6, "SYS SYS SYS SYS PHB PHB X PIX", "0 0 1 0 1 2 0 2");
	check_row(machine, 7, "SYS SYS SYS SYS PHB PHB PIX X", "0 0 0 1 2 1 2 0");
	check_place(machine, 0, 0, "0-19,40-59");
	check_place(machine, 7, 1, "20-39,60-79");
	CHECK_TEXT(machine->devices[7].pci, "00000000:8A:00.0");
	CHECK_TEXT(machine->driver, "535.183.06");
	CHECK_INT(machine->devices[0].nvlink_version, 2);
}

static void dgx2(void)
{
	ga_auto_machine gpualloc_machine *machine = make("dgx2");

	CHECK_INT(machine->device_count, 16);
	check_row(machine, 0, "X PIX PXB PXB NODE NODE NODE NODE SYS SYS SYS SYS SYS SYS SYS SYS",
		  "0 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6");
	check_row(machine, 10, "SYS SYS SYS SYS SYS SYS SYS SYS PXB PXB X PIX NODE NODE NODE NODE",
		  "6 6 6 6 6 6 6 6 6 6 0 6 6 6 6 6");
	check_place(machine, 7, 0, "0-23,48-71");
	check_place(machine, 8, 1, "24-47,72-95");
	CHECK_INT(mib(machine->devices[15].memory.total), 32768);
}

static void dgx_a100(void)
{
	ga_auto_machine gpualloc_machine *machine = make("dgx-a100");

	CHECK_INT(machine->device_count, 8);
	check_row(machine, 0, "X PXB SYS SYS SYS SYS SYS SYS", "0 12 12 12 12 12 12 12");
	check_row(machine, 5, "SYS SYS SYS SYS PXB X SYS SYS", "12 12 12 12 12 0 12 12");
	check_place(machine, 0, 3, "48-63,176-191");
	check_place(machine, 1, 3, "48-63,176-191");
	check_place(machine, 2, 1, "16-31,144-159");
	check_place(machine, 5, 7, "112-127,240-255");
	check_place(machine, 7, 5, "80-95,208-223");
	CHECK_TEXT(machine->devices[0].name, "NVIDIA A100-SXM4-40GB");
	CHECK_INT(mib(machine->devices[0].memory.reserved), 605);
}

static void hgx_h100(void)
{
	ga_auto_machine gpualloc_machine *machine = make("hgx-h100");

	CHECK_INT(machine->device_count, 8);
	check_row(machine, 0, "X NODE NODE NODE SYS SYS SYS SYS", "0 18 18 18 18 18 18 18");
	check_row(machine, 7, "SYS SYS SYS SYS NODE NODE NODE X", "18 18 18 18 18 18 18 0");
	check_place(machine, 3, 0, "0-55,112-167");
	check_place(machine, 4, 1, "56-111,168-223");
	CHECK_INT(mib(machine->devices[0].memory.total), 81559);
}

static void rtx8000x4(void)
{
	ga_auto_machine gpualloc_machine *machine = make("rtx8000x4");

	CHECK_INT(machine->device_count, 4);
	check_row(machine, 0, "X NODE SYS SYS", "0 0 0 2");
	check_row(machine, 1, "NODE X SYS SYS", "0 0 2 0");
	check_row(machine, 2, "SYS SYS X NODE", "0 2 0 0");
	check_row(machine, 3, "SYS SYS NODE X", "2 0 0 0");
}

static void pcie16(void)
{
	ga_auto_machine gpualloc_machine *machine = make("pcie16");

	CHECK_INT(machine->device_count, 16);
	check_row(machine, 3, "PXB PXB PIX X NODE NODE NODE NODE SYS SYS SYS SYS SYS SYS SYS SYS",
		  "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
	CHECK_INT(machine->devices[0].nvlink_version, GA_UNKNOWN);
	check_place(machine, 15, 1, "32-63,96-127");
}

static void nvl72(void)
{
	ga_auto_machine gpualloc_machine *machine = make("nvl72");
	const struct ga_links *links = &machine->links;

	CHECK_INT(machine->device_count, 72);
	CHECK_INT(ga_links_level(links, 0, 1), GPUALLOC_LEVEL_NODE);
	CHECK_INT(ga_links_level(links, 1, 2), GPUALLOC_LEVEL_SYS);
	CHECK_INT(ga_links_level(links, 3, 4), GPUALLOC_LEVEL_UNKNOWN);
	CHECK_INT(ga_links_level(links, 70, 71), GPUALLOC_LEVEL_NODE);
	for (size_t i = 0; i < 72; i++)
		for (size_t j = 0; j < 72; j++)
			CHECK_INT(ga_links_nvlinks(links, i, j), i == j ? 0 : 18);
	check_place(machine, 1, 0, "0-71");
	check_place(machine, 2, 1, "72-143");
	check_place(machine, 71, 35, "2520-2591");
	CHECK_TEXT(machine->devices[71].pci, "00001119:01:00.0");
	CHECK_INT(machine->sockets, 36);
}

static void a100_mig(void)
{
	static const struct {
		const char *profile;
		int gi;
		int total;
	} expected[] = {{"2g.10gb", 3, 9856},
			{"2g.10gb", 5, 9856},
			{"1g.5gb", 9, 4864},
			{"1g.5gb", 10, 4864},
			{"1g.5gb", 13, 4864}};
	ga_auto_machine gpualloc_machine *machine = make("a100-mig");
	const struct gpualloc_device *cut = &machine->devices[1];

	CHECK_INT(machine->device_count, 2);
	check_row(machine, 0, "X SYS", "0 0");
	CHECK(!machine->devices[0].mig_enabled);
	CHECK(cut->mig_enabled);
	CHECK_INT(cut->mig_count, 5);
	CHECK_INT(cut->utilization, GA_UNKNOWN);
	for (size_t i = 0; i < 5; i++) {
		CHECK_TEXT(cut->mig[i].profile, expected[i].profile);
		CHECK_INT(cut->mig[i].gi, expected[i].gi);
		CHECK_INT(cut->mig[i].ci, 0);
		CHECK_INT(mib(cut->mig[i].memory.total), expected[i].total);
		CHECK(cut->mig[i].parent == cut);
		CHECK(cut->mig[i].processes_known);
	}
}

static void all_are_there_with_a_description(void)
{
	size_t i = 0;

	for (; ga_source_builtin.machine_name(i); i++)
		CHECK(ga_source_builtin.machine_description(i) != NULL);
	CHECK_INT(i, MACHINES);
	CHECK(ga_source_builtin.machine_description(i) == NULL);
	for (i = 1; i < MACHINES; i++)
		CHECK(strcmp(ga_source_builtin.machine_name(i - 1),
			     ga_source_builtin.machine_name(i)) < 0);
}

static void all_read_back_to_the_same_bytes(void)
{
	for (size_t i = 0; i < MACHINES; i++) {
		ga_auto_machine gpualloc_machine *machine = make(ga_source_builtin.machine_name(i));
		ga_auto_machine gpualloc_machine *copy = NULL;
		ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(1 << 20), again = out;
		gpualloc_error error = {0};
		int result = ga_machine_file_write(machine, GA_FORM_FILE, &out, &error);

		CHECK_INT(result, 0);
		result = ga_machine_file_read(out.data, out.size, GA_FORM_FILE, &copy, &error);
		CHECK_TEXT(error.message, "");
		CHECK_INT(result, 0);
		CHECK_INT(ga_machine_file_write(copy, GA_FORM_FILE, &again, &error), 0);
		CHECK_TEXT(again.data, out.data);
		CHECK(ga_machine_is_simulated(copy));
	}
}

static bool is_uuid(const char *uuid, const char *kind)
{
	static const char form[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";

	if (strncmp(uuid, kind, 4) != 0 || strlen(uuid) != 4 + strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == '-' ? uuid[4 + i] != '-' : !strchr("0123456789abcdef", uuid[4 + i]))
			return false;
	return true;
}

/* Of every device and instance of every machine. */
static size_t gather_uuids(char (*uuids)[64])
{
	size_t count = 0;

	for (size_t i = 0; i < MACHINES; i++) {
		ga_auto_machine gpualloc_machine *machine = make(ga_source_builtin.machine_name(i));

		for (size_t d = 0; d < machine->device_count; d++) {
			const struct gpualloc_device *device = &machine->devices[d];

			CHECK(is_uuid(device->uuid, "GPU-"));
			(void)snprintf(uuids[count++], 64, "%s", device->uuid);
			for (size_t m = 0; m < device->mig_count; m++) {
				CHECK(is_uuid(device->mig[m].uuid, "MIG-"));
				(void)snprintf(uuids[count++], 64, "%s", device->mig[m].uuid);
			}
		}
	}
	return count;
}

static void short_uuids_are_unique_everywhere(void)
{
	static char uuids[256][64];
	size_t count = gather_uuids(uuids);

	CHECK_INT(count, 2 + 5 + 8 + 8 + 8 + 16 + 8 + 72 + 16 + 4);
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++) {
			test_about("%s and %s", uuids[i], uuids[j]);
			CHECK(strncmp(uuids[i] + 4, uuids[j] + 4, 8) != 0);
		}
}

static void all_are_idle_and_healthy(void)
{
	for (size_t i = 0; i < MACHINES; i++) {
		ga_auto_machine gpualloc_machine *machine = make(ga_source_builtin.machine_name(i));

		CHECK(machine->driver && machine->sockets > 0);
		for (size_t d = 0; d < machine->device_count; d++) {
			const struct gpualloc_device *device = &machine->devices[d];

			CHECK_INT(device->health, GPUALLOC_HEALTH_OK);
			CHECK_INT(device->compute_mode, GA_COMPUTE_DEFAULT);
			CHECK_INT(device->utilization, device->mig_enabled ? GA_UNKNOWN : 0);
			CHECK_INT(device->memory.used, 0);
			CHECK(device->memory.reserved > 0);
			CHECK(device->processes_known && device->process_count == 0);
			CHECK_INT(device->display, 0);
			CHECK_INT(device->minor, d);
			CHECK(device->serial == NULL);
			CHECK(d == 0 || strcmp(device[-1].pci, device->pci) < 0);
		}
	}
}

static const struct test_case cases[] = {
	{"a100-mig", a100_mig},
	{"dgx-a100", dgx_a100},
	{"dgx1-pascal", dgx1_pascal},
	{"dgx1-volta", dgx1_volta},
	{"dgx2", dgx2},
	{"hgx-h100", hgx_h100},
	{"nvl72", nvl72},
	{"pcie16", pcie16},
	{"rtx8000x4", rtx8000x4},
	{"all are there with a description", all_are_there_with_a_description},
	{"all read back to the same bytes", all_read_back_to_the_same_bytes},
	{"short UUIDs are unique everywhere", short_uuids_are_unique_everywhere},
	{"all are idle and healthy", all_are_idle_and_healthy},
};

TEST_MAIN(cases)
