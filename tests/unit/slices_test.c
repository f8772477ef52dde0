/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DRA offers, in its parts: names, places on the PCI bus, and which sets there are. What
 * Kubernetes makes of it is in tests/kubernetes.
 */
#include "base64.h"
#include "offer.h"
#include "root.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct settings settings = {.resource = "nvidia.com/gpu", .mig = MIG_MIXED};

static struct inventory inventory_of(const char *spec)
{
	struct inventory inventory = {0};
	gpualloc_machine *machine = NULL;

	CHECK_INT(gpualloc_machine_open(spec, 0, &machine, NULL), 0);
	CHECK_INT(inventory_update(&inventory, machine, &settings, 1, "", NULL), 0);
	return inventory;
}

static void a_name_means_its_units_and_nothing_else_does(void)
{
	static const char *const wrong[] = {
		"",         "gpu",           "gpu-8",         "gpu-00",
		"gpu-0x",   "gpu--1",        "gpu-0-mig-0-0", "set",
		"set-",     "set-3-0",       "set-0-0",       "set-0-8",
		"set-0-3-", "set-x00000009", "set-00-3",      "set-0-4294967299",
		"GPU-0"};
	struct inventory inventory = inventory_of("dgx1-volta");
	const struct unit *units[SET_MOST];
	size_t count;

	CHECK_INT(name_resolve(&inventory, "gpu-3", units, &count, NULL), 0);
	CHECK_INT(count, 1);
	CHECK_INT(units[0]->gpu, 3);
	CHECK_INT(name_resolve(&inventory, "set-0-3-7", units, &count, NULL), 0);
	CHECK_INT(count, 3);
	CHECK_INT(units[2]->gpu, 7);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		test_about("\"%s\"", wrong[i]);
		CHECK_INT(name_resolve(&inventory, wrong[i], units, &count, NULL),
			  GPUALLOC_ENOTFOUND);
	}
	inventory_free(&inventory);
}

static void a_set_of_many_has_a_short_name(void)
{
	char name[NAME_SIZE];

	name_of_set(0x80000001, name);
	CHECK_TEXT(name, "set-0-31");
	name_of_set(0xffffffff, name);
	CHECK_TEXT(name, "set-xffffffff");
	name_of_set(0xffff, name);
	CHECK_TEXT(name, "set-0-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15");
}

static void labels_stay_when_others_take_an_index(void)
{
	struct inventory inventory = inventory_of("dgx1-volta");
	char first[UNIT_ID];

	memcpy(first, inventory.units[0].uuid, sizeof first);
	inventory_relabel(&inventory, first, 5);
	CHECK_INT(inventory_find(&inventory, first)->label, 5);
	CHECK_INT(inventory.units[5].label, 0);
	inventory_relabel(&inventory, first, 5);
	CHECK_INT(inventory_find(&inventory, first)->label, 5);
	inventory_relabel(&inventory, "GPU-of-nobody", 3);
	CHECK_INT(inventory.units[3].label, 3);
	inventory_free(&inventory);
}

static void make_link(const char *root, const char *id, const char *target)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s", root, id);
	CHECK_INT(symlink(target, path), 0);
}

static void the_root_complex_is_read_from_sysfs(void)
{
	char root[] = "/tmp/gpualloc-slices-XXXXXX", path[512], text[ROOT_SIZE] = "";
	static const char *const folders[] = {"bus", "bus/pci", "bus/pci/devices"};

	CHECK(mkdtemp(root) != NULL);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", root, folders[i]);
		CHECK_INT(mkdir(path, 0700), 0);
	}
	make_link(root, "0000:3b:00.0", "../../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0");
	make_link(root, "0000:3c:00.0", "../../../devices/platform/x");
	CHECK(pcie_root(root, "00000000:3B:00.0", text));
	CHECK_TEXT(text, "pci0000:3a");
	CHECK(!pcie_root(root, "00000000:3C:00.0", text));
	CHECK(!pcie_root(root, "00000000:3D:00.0", text));
	CHECK(!pcie_root(root, "../../etc", text));
	CHECK(pci_bus_id("0001:AF:1F.7", text));
	CHECK_TEXT(text, "0001:af:1f.7");
	CHECK(!pci_bus_id("", text));
	CHECK(!pci_bus_id("0000:00:00.0 ", text));
	for (const char *const *id = (const char *const[]){"0000:3b:00.0", "0000:3c:00.0", NULL};
	     *id; id++) {
		(void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s", root, *id);
		CHECK_INT(unlink(path), 0);
	}
	for (size_t i = 3; i-- > 0;) {
		(void)snprintf(path, sizeof path, "%s/%s", root, folders[i]);
		CHECK_INT(rmdir(path), 0);
	}
	CHECK_INT(rmdir(root), 0);
}

static void sets_come_by_size_and_the_fastest_first(void)
{
	static const char *const machines[] = {"dgx1-volta", "dgx1-pascal", "pcie16", "rtx8000x4"};

	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
		struct inventory inventory = inventory_of(machines[i]);
		struct offer_sets sets = {0};

		test_about("%s", machines[i]);
		CHECK_INT(offer_sets_make(&inventory, &sets, NULL), 0);
		CHECK(sets.count > 0 && sets.count <= SETS_MOST);
		for (size_t j = 1; j < sets.count; j++) {
			const struct ranked_set *one = &sets.list[j - 1], *next = &sets.list[j];

			CHECK(one->size < next->size ||
			      (one->size == next->size && one->bandwidth >= next->bandwidth));
			CHECK(one->members != next->members);
		}
		CHECK(offer_sets_fit(&sets, &inventory));
		offer_sets_free(&sets);
		inventory_free(&inventory);
	}
}

static void base64_is_read_strictly(void)
{
	static const struct {
		const char *text, *bytes;
	} cases[] = {{"", ""},           {"QQ==", "A"},          {"QUI=", "AB"},
		     {"QUJD\n", "ABC"},  {"Q U\tJ\r\nD", "ABC"}, {"Q", NULL},
		     {"QQ", NULL},       {"QQ=", NULL},          {"Q===", NULL},
		     {"QQ==QQ==", NULL}, {"Q!==", NULL},         {"====", NULL}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t size = 99;
		char *bytes = base64_decode(cases[i].text, strlen(cases[i].text), &size);

		test_about("\"%s\"", cases[i].text);
		CHECK(!bytes == !cases[i].bytes);
		if (bytes) {
			CHECK_TEXT(bytes, cases[i].bytes);
			CHECK_INT(size, strlen(cases[i].bytes));
		}
		free(bytes);
	}
}

static const struct test_case cases[] = {
	{"a name means its units and nothing else does",
	 a_name_means_its_units_and_nothing_else_does},
	{"a set of many has a short name", a_set_of_many_has_a_short_name},
	{"labels stay when others take an index", labels_stay_when_others_take_an_index},
	{"the root complex is read from sysfs", the_root_complex_is_read_from_sysfs},
	{"sets come by size, and the fastest first", sets_come_by_size_and_the_fastest_first},
	{"base64 is read strictly", base64_is_read_strictly},
};

TEST_MAIN(cases)
