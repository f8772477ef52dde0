/* SPDX-License-Identifier: Apache-2.0 */
/* CDI documents: of a recorded root, under a machine's names and under a caller's own; their files.
 */
#include "buffer.h"
#include "cleanup.h"
#include "document.h"
#include "driver.h"
#include "entries.h"
#include "file.h"
#include "loader_cache.h"
#include "save.h"
#include "test.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static const char machine_text[] =
	"{\"gpualloc_machine\":1,\"driver\":\"535.54.03\",\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-a\",\"name\":\"A\",\"minor\":4},"
	"{\"index\":1,\"uuid\":\"GPU-b\",\"name\":\"A\",\"minor\":5,\"mig_enabled\":true,\"mig\":["
	"{\"uuid\":\"MIG-1\",\"gi\":7,\"ci\":0,\"profile\":\"1g.5gb\"},"
	"{\"uuid\":\"MIG-2\",\"gi\":8,\"ci\":0,\"profile\":\"1g.5gb\"}]},"
	"{\"index\":2,\"uuid\":\"GPU-c\",\"name\":\"A\"}],"
	"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}";

/* ---- a root of our own ---- */

static char root[] = "/tmp/gpualloc-cdi-XXXXXX";

static void make(const char *path, const char *content, size_t size)
{
	char whole[512];
	int fd;

	(void)snprintf(whole, sizeof whole, "%s%s", root, path);
	CHECK_INT(cdi_make_folder(whole, NULL), 0);
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, content, size) == (ssize_t)size);
	close(fd);
}

static void make_library(const char *path)
{
	unsigned char head[64] = {0x7f, 'E', 'L', 'F', ELFCLASS64};
#if defined(__aarch64__)
	uint16_t machine = EM_AARCH64;
#else
	uint16_t machine = EM_X86_64;
#endif

	memcpy(head + 18, &machine, sizeof machine);
	make(path, (const char *)head, sizeof head);
}

static void make_link(const char *path, const char *target)
{
	char whole[512];

	(void)snprintf(whole, sizeof whole, "%s%s", root, path);
	CHECK_INT(symlink(target, whole), 0);
}

static void make_root(void)
{
	CHECK(mkdtemp(root) != NULL);
}

static void remove_root(void)
{
	CHECK_INT(test_remove_tree(root), 0);
}

static char *whole_document(const struct cdi_asked *asked)
{
	struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct cdi_written written;
	gpualloc_error error = {0};
	int result = cdi_write(asked, &text, &written, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return text.data;
}

static char *read_file(const char *path, size_t *ret_size)
{
	struct ga_buffer content = GA_BUFFER_INIT(0);

	CHECK_INT(ga_file_read(path, LOADER_CACHE_MOST, &content, NULL), 0);
	*ret_size = content.size;
	return content.data;
}

/* ---- the cases ---- */

static void test_a_claim_has_names_of_its_own(void)
{
	struct cdi_place place = {.is_simulated = true};
	const struct cdi_device pair[] = {{0, -1, -1}, {3, -1, -1}};
	const struct cdi_entry entry = {"claim-set-0-3", pair, 2};
	struct cdi_asked asked = {.kind = "k8s.gpualloc.io/claim",
				  .host = "",
				  .place = &place,
				  .entries = &entry,
				  .count = 1};
	ga_auto_free char *text = whole_document(&asked);

	CHECK_HAS(text, "{\"cdiVersion\": \"0.3.0\", \"kind\": \"k8s.gpualloc.io/claim\",");
	CHECK_HAS(text, "\"env\": [\"NVIDIA_VISIBLE_DEVICES=void\"]");
	CHECK_HAS(text, "{\"path\": \"/dev/nvidiactl\", \"permissions\": \"rw\"}");
	CHECK_HAS(text, "{\"name\": \"claim-set-0-3\", \"containerEdits\": {\"deviceNodes\": "
			"[{\"path\": \"/dev/nvidia0\", \"permissions\": \"rw\"}, {\"path\": "
			"\"/dev/nvidia3\", \"permissions\": \"rw\"}]}}");
	CHECK(!strstr(text, "mounts"));
	CHECK(!strstr(text, "uvm-tools"));
}

static void test_the_version_is_the_lowest_that_suffices(void)
{
	struct cdi_place place = {.is_simulated = true};
	const struct cdi_device gpu = {0, -1, -1};
	struct cdi_entry entry = {"0", &gpu, 1};
	struct cdi_asked asked = {.kind = "nvidia.com/gpu",
				  .host = "",
				  .place = &place,
				  .entries = &entry,
				  .count = 1};
	ga_auto_free char *digit = whole_document(&asked), *host = NULL, *dotted = NULL;

	CHECK_HAS(digit, "\"cdiVersion\": \"0.5.0\"");
	entry.name = "a";
	asked.host = "/elsewhere";
	host = whole_document(&asked);
	CHECK_HAS(host, "\"cdiVersion\": \"0.5.0\"");
	CHECK_HAS(host, "{\"path\": \"/dev/nvidia0\", \"hostPath\": \"/elsewhere/dev/nvidia0\",");
	asked.kind = "nvidia.com/gpu.x";
	dotted = whole_document(&asked);
	CHECK_HAS(dotted, "\"cdiVersion\": \"0.6.0\"");
}

static void test_what_cdi_does_not_allow_is_refused(void)
{
	struct cdi_place place = {.is_simulated = true};
	const struct cdi_device gpu = {0, -1, -1}, unknown = {-1, -1, -1};
	struct cdi_entry entry = {"a b", &gpu, 1};
	struct cdi_asked asked = {
		.kind = "gpu", .host = "", .place = &place, .entries = &entry, .count = 1};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct cdi_written written;
	gpualloc_error error = {0};

	CHECK_INT(cdi_write(&asked, &text, &written, &error), GPUALLOC_EUSAGE);
	CHECK_HAS(error.message, "\"gpu\" is not a kind");
	asked.kind = "nvidia.com/gpu";
	CHECK_INT(cdi_write(&asked, &text, &written, &error), GPUALLOC_EUSAGE);
	CHECK_HAS(error.message, "called \"a b\"");
	entry = (struct cdi_entry){"lost", &unknown, 1};
	CHECK_INT(cdi_write(&asked, &text, &written, &error), GPUALLOC_EDATA);
	CHECK_HAS(error.message, "belong to lost are not known");
	CHECK(cdi_kind_is_valid("a.b/c") && !cdi_kind_is_valid("a/") && !cdi_kind_is_valid("/c") &&
	      !cdi_kind_is_valid("1a/c") && !cdi_kind_is_valid("a./c") &&
	      !cdi_kind_is_valid("a/b/c"));
	CHECK(cdi_name_is_valid("0:1") && !cdi_name_is_valid("") && !cdi_name_is_valid("a-") &&
	      !cdi_name_is_valid("=a"));
}

static void test_instances_have_their_capability_files(void)
{
	static const char one[] = "DeviceFileMinor: 30\nDeviceFileMode: 292\n";
	static const char two[] = "DeviceFileMinor: 31\n";
	static const char table[] = "gpu5/gi7/access 1\ngpu5/gi7/ci0/access 2\n"
				    "gpu5/gi8/access 66\ngpu5/gi8/ci0/access 67\n";
	gpualloc_machine *machine;
	struct cdi_place place = {.root = root};
	ga_cleanup(cdi_entries_free) struct cdi_entries entries = {0};
	struct cdi_asked asked = {.kind = CDI_KIND, .host = "", .place = &place};
	ga_auto_free char *text = NULL;

	make_root();
	make("/proc/driver/nvidia/capabilities/gpu5/mig/gi7/access", one, sizeof one - 1);
	make("/proc/driver/nvidia/capabilities/gpu5/mig/gi7/ci0/access", two, sizeof two - 1);
	make("/proc/driver/nvidia-caps/mig-minors", table, sizeof table - 1);
	make("/dev/nvidia-modeset", "", 0);
	CHECK_INT(gpualloc_machine_read(machine_text, sizeof machine_text - 1, "test", &machine,
					NULL),
		  0);
	CHECK(cdi_entries_read(machine, &place, &entries));
	asked.entries = entries.list;
	asked.count = entries.count;
	text = whole_document(&asked);
	remove_root();
	CHECK_HAS(text, "{\"name\": \"1:0\", \"containerEdits\": {\"deviceNodes\": [{\"path\": "
			"\"/dev/nvidia5\", \"permissions\": \"rw\"}, {\"path\": "
			"\"/dev/nvidia-caps/nvidia-cap30\", \"permissions\": \"rw\"}, {\"path\": "
			"\"/dev/nvidia-caps/nvidia-cap31\"");
	CHECK_HAS(text, "{\"name\": \"MIG-2\", \"containerEdits\": {\"deviceNodes\": [{\"path\": "
			"\"/dev/nvidia5\", \"permissions\": \"rw\"}, {\"path\": "
			"\"/dev/nvidia-caps/nvidia-cap66\"");
	CHECK_HAS(text, "{\"name\": \"0\",");
	CHECK_HAS(text, "{\"name\": \"GPU-a\",");
	CHECK_HAS(text, "{\"name\": \"all\",");
	CHECK_HAS(text, "/dev/nvidia-modeset");
	CHECK(!strstr(text, "GPU-b") && !strstr(text, "GPU-c"));
	CHECK_INT(entries.left_out_count, 1);
	CHECK_TEXT(gpualloc_device_uuid(entries.left_out[0]), "GPU-c");
	cdi_place_free(&place);
	gpualloc_machine_free(machine);
}

static bool has_mount(const struct cdi_mounts *mounts, const char *host, const char *container)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (strcmp(mounts->list[i].host, host) == 0 &&
		    strcmp(mounts->list[i].container, container) == 0)
			return true;
	return false;
}

static void test_the_loaders_own_cache_is_read(void)
{
	size_t size, at = 0;
	ga_auto_free char *cache = NULL;
	const char *found;

	if (access(LOADER_CACHE, R_OK) < 0)
		test_skip("this machine has no /etc/ld.so.cache");
	cache = read_file(LOADER_CACHE, &size);
	found = loader_cache_find(cache, size, "libc.so.6", &at);
	CHECK(found != NULL);
	CHECK_HAS(found, "/libc.so.6");
	CHECK_INT(access(found, R_OK), 0);
	CHECK(!loader_cache_find(cache, size, "libnobody-has-this.so", &(size_t){0}));
	CHECK(!loader_cache_find(cache, 60, "libc.so.6", &(size_t){0}));
}

/* Absolute links, as Debian's alternatives make them, stay within the root. */
static void test_the_drivers_libraries_are_found_by_their_version(void)
{
	ga_cleanup(cdi_mounts_free) struct cdi_mounts mounts = {0};

	make_root();
	make_library("/usr/lib64/nvidia/current/libcuda.so.535.54.03");
	make_library("/usr/lib64/nvidia/current/libnvidia-ml.so.535.54.03");
	make_library("/usr/lib64/nvidia/current/libnvidia-ml.so.470.1");
	make_link("/usr/lib64/nvidia/current/libcuda.so.1", "libcuda.so.535.54.03");
	make_link("/usr/lib64/libcuda.so.1", "/etc/alternatives/libcuda");
	make("/etc/alternatives/x", "", 0);
	make_link("/etc/alternatives/libcuda", "/usr/lib64/nvidia/current/libcuda.so.1");
	make_library("/usr/lib64/libother.so.535.54.04");
	make("/usr/bin/nvidia-smi", "#!", 2);
	CHECK_INT(cdi_driver_find(root, "535.54.03", &mounts, NULL), 0);
	CHECK(has_mount(&mounts, "/usr/lib64/nvidia/current/libcuda.so.535.54.03",
			"/usr/lib64/libcuda.so.1"));
	CHECK(has_mount(&mounts, "/usr/lib64/nvidia/current/libnvidia-ml.so.535.54.03",
			"/usr/lib64/libnvidia-ml.so.535.54.03"));
	CHECK(has_mount(&mounts, "/usr/bin/nvidia-smi", "/usr/bin/nvidia-smi"));
	/* libcuda under two names, libnvidia-ml under one, each in two folders; a program. */
	CHECK_INT(mounts.count, 7);
	cdi_mounts_free(&mounts);
	CHECK_INT(cdi_driver_find(root, "999.1", &mounts, NULL), 0);
	CHECK_INT(mounts.count, 0);
	remove_root();
}

static void test_a_file_is_replaced_whole_and_removed(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(100);
	char path[64], temporary[64];
	struct stat status;

	make_root();
	(void)snprintf(path, sizeof path, "%s/run/cdi/a.json", root);
	(void)snprintf(temporary, sizeof temporary, "%s/run/cdi/.a.json.new", root);
	ga_buffer_text(&text, "{}\n");
	(void)umask(0077);
	CHECK_INT(cdi_save(path, &text, NULL), 0);
	CHECK_INT(stat(path, &status), 0);
	CHECK_INT(status.st_mode, S_IFREG | 0644);
	/* What a killed writer left is used and cleared away. */
	make("/run/cdi/.a.json.new", "longer than that", 16);
	CHECK_INT(cdi_save(path, &text, NULL), 0);
	CHECK_INT(stat(path, &status), 0);
	CHECK_INT(status.st_size, 3);
	CHECK(access(temporary, F_OK) < 0);
	/* A link that a stranger put there is not followed. */
	CHECK_INT(symlink(path, temporary), 0);
	CHECK(cdi_save(path, &text, NULL) < 0);
	CHECK_INT(cdi_remove(path, NULL), 0);
	CHECK_INT(cdi_remove(path, NULL), 0);
	CHECK(access(path, F_OK) < 0 && lstat(temporary, &status) < 0);
	remove_root();
}

/* While it has its other name nobody else may open it, or they could lock it. */
static void test_a_file_is_for_others_when_it_has_its_name(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(100);
	_Alignas(struct inotify_event) char events[4096];
	char path[64], folder[64];
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ssize_t size;

	make_root();
	(void)snprintf(folder, sizeof folder, "%s/run/cdi", root);
	(void)snprintf(path, sizeof path, "%s/run/cdi/a.json", root);
	ga_buffer_text(&text, "{}\n");
	CHECK_INT(cdi_make_folder(path, NULL), 0);
	CHECK(inotify_add_watch(watch, folder, IN_ATTRIB) >= 0);
	CHECK_INT(cdi_save(path, &text, NULL), 0);
	size = read(watch, events, sizeof events);
	CHECK(size > 0);
	CHECK_TEXT(((const struct inotify_event *)(const void *)events)->name, "a.json");
	close(watch);
	remove_root();
}

static const struct test_case cases[] = {
	{"a claim has names of its own", test_a_claim_has_names_of_its_own},
	{"the version is the lowest that suffices", test_the_version_is_the_lowest_that_suffices},
	{"what CDI does not allow is refused", test_what_cdi_does_not_allow_is_refused},
	{"instances have their capability files", test_instances_have_their_capability_files},
	{"the loader's own cache is read", test_the_loaders_own_cache_is_read},
	{"the driver's libraries are found by their version",
	 test_the_drivers_libraries_are_found_by_their_version},
	{"a file is for others when it has its name",
	 test_a_file_is_for_others_when_it_has_its_name},
	{"a file is replaced whole and removed", test_a_file_is_replaced_whole_and_removed},
};
TEST_MAIN(cases)
