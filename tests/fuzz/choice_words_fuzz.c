/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a choice: the first line is a list of devices, the second a size, the third
 * CUDA_VISIBLE_DEVICES. The words are used on a machine with GPUs and MIG instances.
 */
#include "fuzz.h"

#include "cleanup.h"
#include "machine_file.h"
#include "select.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

enum { DEVICE_COUNT = 5 };

static const char text[] =
	"{\"gpualloc_machine\":1,\"driver\":\"570.1\",\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-aa11\",\"pci\":\"00000000:07:00.0\",\"name\":\"A\"},"
	"{\"index\":1,\"uuid\":\"GPU-aa22\",\"pci\":\"00000000:0B:00.0\",\"name\":\"A\","
	"\"memory\":{\"total\":1000000,\"used\":1000}},"
	"{\"index\":3,\"uuid\":\"GPU-bb\",\"pci\":\"00000000:0C:00.0\",\"name\":\"A\",\"mig\":["
	"{\"uuid\":\"MIG-1\",\"gi\":7,\"ci\":0},{\"uuid\":\"MIG-12\",\"gi\":7,\"ci\":1}]}],"
	"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}";

/* Each once; and where they were named, their ids name them again. */
static void check_list(const gpualloc_machine *machine, const struct ga_device_list *list)
{
	ga_auto_device_list struct ga_device_list again = {0};
	char ids[256];

	fuzz_require(list->count <= DEVICE_COUNT, "no device twice");
	fuzz_require(ga_device_ids(list->devices, list->count, ids, sizeof ids) < sizeof ids,
		     "ids fit");
	if (list->count == 0)
		return;
	fuzz_require(ga_device_list_parse(machine, ids, &again, NULL) == 0, "ids are read again");
	fuzz_require(again.count == list->count && memcmp(again.devices, list->devices,
							  list->count * sizeof *list->devices) == 0,
		     "ids name the same devices");
}

static void check_request(const gpualloc_machine *machine, char *const lines[3])
{
	struct gpualloc_request request = {
		.memory = GA_UNKNOWN,
		.tolerate = GA_UNKNOWN,
		.mig = lines[0][0] == 'M',
		.only = lines[0],
		.visible = lines[2],
	};
	ga_auto_selection struct ga_selection selection = {0};
	gpualloc_error error = {0};
	int result;

	(void)ga_size_parse(lines[1], &request.memory, NULL);
	result = ga_select(machine, &request, &selection, &error);
	fuzz_require(result == error.status && (result == 0) == (error.message[0] == '\0'),
		     "a selection, or a sentence");
	fuzz_require(selection.candidate_count + selection.rejection_count <= DEVICE_COUNT,
		     "a device is a candidate or rejected");
}

static void check(const gpualloc_machine *machine, char *const lines[3])
{
	struct ga_environment environment = {lines[2], NULL};
	ga_auto_device_list struct ga_device_list named = {0}, visible = {0};
	gpualloc_error error = {0};
	char size[GA_SIZE_TEXT];
	int64_t bytes;
	int result = ga_device_list_parse(machine, lines[0], &named, &error);

	if (result < 0)
		fuzz_check_refusal(result, NULL, &error);
	else
		fuzz_require(named.count > 0, "a list names something");
	check_list(machine, &named);
	error = (gpualloc_error){0};
	result = ga_size_parse(lines[1], &bytes, &error);
	if (result < 0)
		fuzz_check_refusal(result, NULL, &error);
	else
		fuzz_require(bytes >= 0 && *ga_size_text(bytes, size), "a size is not negative");
	fuzz_require(ga_visible_devices(machine, &environment, &visible, NULL) == 0, "one model");
	check_list(machine, &visible);
	check_request(machine, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_free char *words = malloc(size + 1);
	char empty[] = "", *lines[3] = {empty, empty, empty}, *rest = words;

	if (!words || ga_machine_file_read(text, sizeof text - 1, GA_FORM_FILE, &machine, NULL) < 0)
		abort();
	memcpy(words, data, size);
	words[size] = '\0';
	for (size_t i = 0; i < 3 && rest; i++)
		lines[i] = strsep(&rest, "\n");
	check(machine, lines);
	return 0;
}
