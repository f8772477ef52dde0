/* SPDX-License-Identifier: Apache-2.0 */
/* An anonymous machine tells nothing of whose it is, and everything of how it is built. */
#include "anonymise.h"
#include "cleanup.h"
#include "machine_file.h"
#include "test.h"

#include <string.h>

static const char text[] =
	"{\"gpualloc_machine\":1,\"name\":\"secret-host\",\"driver\":\"550\",\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-5ec2e7\",\"serial\":\"5ec2e7\",\"name\":\"A100\",\"processes\":["
	"{\"pid\":1,\"type\":\"C\",\"user\":\"secret-alice\",\"name\":\"secret-train\"},"
	"{\"pid\":2,\"type\":\"C\",\"user\":\"secret-bob\",\"name\":\"secret-train\"},"
	"{\"pid\":3,\"type\":\"C\",\"user\":\"secret-alice\",\"name\":\"x\"}],"
	"\"mig\":[{\"uuid\":\"MIG-GPU-5ec2e7/7/0\",\"gi\":7},{\"uuid\":\"MIG-5ec2e7\",\"gi\":8}]},"
	"{\"index\":1,\"name\":\"A100\"}],\"pcie\":[[\"X\",\"PIX\"],[\"PIX\",\"X\"]]}";

static void only_identities_change(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(1 << 20);
	const struct gpualloc_device *device;

	CHECK_INT(ga_machine_file_read(text, strlen(text), GA_FORM_FILE, &machine, NULL), 0);
	CHECK_INT(ga_machine_anonymise(machine, NULL), 0);
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &out, NULL), 0);
	CHECK(strstr(out.data, "secret") == NULL);
	CHECK(strstr(out.data, "5ec2e7") == NULL);
	device = &machine->devices[0];
	CHECK_TEXT(device->uuid, "GPU-00000000-0000-0000-0000-000000000001");
	CHECK_TEXT(device->mig[0].uuid, "MIG-GPU-00000000-0000-0000-0000-000000000001/7/0");
	CHECK_TEXT(device->mig[1].uuid, "MIG-00000000-0000-0000-0000-000000000002");
	CHECK_TEXT(device->processes[0].user, "user1");
	CHECK_TEXT(device->processes[1].user, "user2");
	CHECK_TEXT(device->processes[2].user, "user1");
	CHECK_TEXT(device->processes[1].name, "program1");
	CHECK_TEXT(device->name, "A100");
	CHECK_TEXT(machine->driver, "550");
	CHECK(machine->devices[1].uuid == NULL);
	CHECK_INT(ga_links_level(&machine->links, 0, 1), GPUALLOC_LEVEL_PIX);
}

static const struct test_case cases[] = {
	{"only identities change", only_identities_change},
};

TEST_MAIN(cases)
