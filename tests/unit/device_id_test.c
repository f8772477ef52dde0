/* SPDX-License-Identifier: Apache-2.0 */
/* Devices by the names people give them, and by those CUDA_VISIBLE_DEVICES gives them. */
#include "buffer.h"
#include "device_id.h"
#include "machine_file.h"
#include "test.h"
#include "visible.h"

#include <string.h>

/* Indices 0, 1, 3 (2 is missing); 3 is cut into instances; two UUIDs begin alike. */
static const char text[] =
	"{\"gpualloc_machine\":1,\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-aaaa1111\",\"pci\":\"00000000:07:00.0\",\"name\":\"A\"},"
	"{\"index\":1,\"uuid\":\"GPU-aaaa2222\",\"pci\":\"00000000:0B:00.0\",\"name\":\"A\"},"
	"{\"index\":3,\"uuid\":\"GPU-bbbb\",\"pci\":\"00000001:0B:00.0\",\"name\":\"A\",\"mig\":["
	"{\"uuid\":\"MIG-1\",\"gi\":7,\"ci\":0},{\"uuid\":\"MIG-12\",\"gi\":7,\"ci\":1},"
	"{\"uuid\":\"MIG-GPU-bbbb/9/0\",\"gi\":9,\"ci\":0}]}],"
	"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}";

static gpualloc_machine *machine;

static void setup(void)
{
	if (!machine)
		CHECK_INT(ga_machine_file_read(text, strlen(text), GA_FORM_FILE, &machine, NULL),
			  0);
}

static const char *listed(const struct ga_device_list *list)
{
	static char names[256];
	char id[GA_DEVICE_ID_SIZE];

	names[0] = '\0';
	for (size_t i = 0; i < list->count; i++) {
		strcat(names, i ? " " : "");
		strcat(names, ga_device_id(list->devices[i], id));
	}
	return names;
}

static const struct {
	const char *text;
	const char *devices; /* or the message, where it is refused */
} lists[] = {
	{"0", "0"},
	{"1,0", "1 0"},
	{" 1 , 0 ", "1 0"},
	{"0,0,0-1", "0 1"},
	{"0-3", "0 1 3"},
	{"GPU-aaaa1", "0"},
	{"gpu-AAAA2222", "1"},
	{"GPU-b", "3"},
	{"07:00.0", "0"},
	{"0000:0b:00.0", "1"},
	{"0001:0B:00.0", "3"},
	{"3:7:1", "3:7:1"},
	{"3:7", "3:7:0 3:7:1"},
	{"MIG-1", "3:7:0"},
	{"MIG-12", "3:7:1"},
	{"MIG-GPU-bbbb/9/0", "3:9:0"},
	{"", "the list of devices is empty"},
	{",", "the list of devices has an empty entry"},
	{"0,,1", "the list of devices has an empty entry"},
	{"2", "no device \"2\""},
	{"4-9", "there is no device \"4-9\""},
	{"3-0", "must go from low to high"},
	{"0-", "no device"},
	{"-1", "no device"},
	{"1x", "no device"},
	{"GPU-aaaa", "the start of 2 UUIDs"},
	{"MIG-", "the start of 3 UUIDs"},
	{"GPU-c", "no device"},
	{"08:00.0", "no device"},
	{"3:8", "no device"},
	{"0:7:0", "no device"},
	{"3:7:0:0", "no device"},
	{"99999999999999999999", "no device"},
};

static void lists_name_devices(void)
{
	setup();
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		ga_auto_device_list struct ga_device_list list = {0};
		gpualloc_error error = {0};
		int result = ga_device_list_parse(machine, lists[i].text, &list, &error);

		test_about("\"%s\"", lists[i].text);
		if (result == 0) {
			CHECK_TEXT(listed(&list), lists[i].devices);
			continue;
		}
		CHECK_INT(result, GPUALLOC_EUSAGE);
		CHECK_HAS(error.message, lists[i].devices);
	}
}

static const struct {
	const char *text;
	const char *devices;
} environments[] = {
	{NULL, "0 1 3:7:0"},
	{"", ""},
	{"0,1", "0 1"},
	{"1,0", "1 0"},
	{"0,9,1", "0"},
	{"0,-1,1", "0"},
	{"-1", ""},
	{"0,1,0", ""},
	{"+1,-0", "1 0"},
	{"1gpu0,0ampere", "1 0"},
	{" 1, 0", "1 0"},
	{"2", "3:7:0"},
	{"GPU-aaaa2,GPU-aaaa1", "1 0"},
	{"GPU-aaaa,GPU-b", ""},
	{"GPU-aaaa1,GPU-c,GPU-b", "0"},
	{"GPU-aaaa1,1", "0"},
	{"0,GPU-aaaa2", "0"},
	{"GPU-aaaa1,GPU-aaaa1", ""},
	{"MIG-12", "3:7:1"},
	{"none", ""},
};

static void the_environment_is_read_as_the_driver_reads_it(void)
{
	setup();
	for (size_t i = 0; i < sizeof environments / sizeof *environments; i++) {
		struct ga_environment environment = {environments[i].text, "PCI_BUS_ID"};
		ga_auto_device_list struct ga_device_list list = {0};

		test_about("\"%s\"", environments[i].text ? environments[i].text : "(not set)");
		CHECK_INT(ga_visible_devices(machine, &environment, &list, NULL), 0);
		CHECK_TEXT(listed(&list), environments[i].devices);
	}
}

static void indices_of_several_models_need_an_order(void)
{
	static const char mixed[] =
		"{\"gpualloc_machine\":1,\"devices\":["
		"{\"index\":0,\"uuid\":\"GPU-a\",\"pci\":\"00000000:0B:00.0\",\"name\":\"A\"},"
		"{\"index\":1,\"uuid\":\"GPU-b\",\"pci\":\"00000000:07:00.0\",\"name\":\"B\"}],"
		"\"pcie\":[[\"X\",null],[null,\"X\"]]}";
	ga_auto_machine gpualloc_machine *two = NULL;
	ga_auto_device_list struct ga_device_list list = {0}, by_pci = {0}, by_uuid = {0};
	gpualloc_error error = {0};

	CHECK_INT(ga_machine_file_read(mixed, strlen(mixed), GA_FORM_FILE, &two, NULL), 0);
	CHECK_INT(ga_visible_devices(two, &(struct ga_environment){"0", NULL}, &list, &error),
		  GPUALLOC_EUSAGE);
	CHECK_HAS(error.message, "CUDA_DEVICE_ORDER=PCI_BUS_ID");
	/* What shows nothing needs no order. */
	CHECK_INT(ga_visible_devices(two, &(struct ga_environment){"", NULL}, &list, NULL), 0);
	CHECK_INT(ga_visible_devices(two, &(struct ga_environment){"-1", NULL}, &list, NULL), 0);
	CHECK_INT(list.count, 0);
	CHECK_INT(
		ga_visible_devices(two, &(struct ga_environment){"0", "PCI_BUS_ID"}, &by_pci, NULL),
		0);
	CHECK_TEXT(listed(&by_pci), "1");
	CHECK_INT(ga_visible_devices(two, &(struct ga_environment){"GPU-b,GPU-a", NULL}, &by_uuid,
				     NULL),
		  0);
	CHECK_TEXT(listed(&by_uuid), "1 0");
}

static const struct test_case cases[] = {
	{"lists name devices", lists_name_devices},
	{"the environment is read as the driver reads it",
	 the_environment_is_read_as_the_driver_reads_it},
	{"indices of several models need an order", indices_of_several_models_need_an_order},
};

TEST_MAIN(cases)
