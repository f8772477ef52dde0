/* SPDX-License-Identifier: Apache-2.0 */
/* A store to throw bytes into; see fuzz_store.h. */
#include "fuzz_store.h"

#include "fuzz.h"
#include "machine_file.h"
#include "text.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static char folder[64];
static struct fuzz_store opened;

static const char machine_text[] =
	"{\"gpualloc_machine\":1,\"driver\":\"570.1\",\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-aa11\",\"pci\":\"00000000:07:00.0\",\"name\":\"A\","
	"\"memory\":{\"total\":8589934592,\"used\":1000}},"
	"{\"index\":1,\"uuid\":\"GPU-aa22\",\"pci\":\"00000000:0B:00.0\",\"name\":\"A\","
	"\"memory\":{\"total\":8589934592,\"used\":1000}},"
	"{\"index\":3,\"uuid\":\"GPU-bb\",\"pci\":\"00000000:0C:00.0\",\"name\":\"A\",\"mig\":["
	"{\"uuid\":\"MIG-1\",\"gi\":7,\"ci\":0},{\"uuid\":\"MIG-12\",\"gi\":7,\"ci\":1}]}],"
	"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}";

void fuzz_require_clean(const char *text)
{
	fuzz_require(!text || ga_text_is_clean(text, strlen(text)), "what is kept can be shown");
}

void fuzz_check_result(int result, const gpualloc_error *error)
{
	if (result < 0)
		fuzz_check_refusal(result, NULL, error);
}

gpualloc_machine *fuzz_machine(void)
{
	gpualloc_machine *machine = NULL;

	if (ga_machine_file_read(machine_text, sizeof machine_text - 1, GA_FORM_FILE, &machine,
				 NULL) < 0)
		abort();
	return machine;
}

void fuzz_put(int at, const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	fuzz_require(fd >= 0 && write(fd, data, size) == (ssize_t)size, "a file can be written");
	close(fd);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	(void)remove(path);
	return 0;
}

static void remove_all(void)
{
	if (opened.ledger > 0)
		close(opened.ledger);
	ga_store_close(&opened.store);
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool make_in(const char *place, gpualloc_error *error)
{
	char path[80];

	(void)snprintf(folder, sizeof folder, "%.30s/gpualloc-fuzz-XXXXXX", place);
	if (!mkdtemp(folder))
		return false;
	(void)snprintf(path, sizeof path, "%s/store", folder);
	if (ga_store_make(path, false, error) == 0 &&
	    ga_store_open(path, &opened.store, error) == 0 &&
	    ga_store_open_ledger(&opened.store, &opened.ledger, error) == 0)
		return true;
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return false;
}

struct fuzz_store *fuzz_store(void)
{
	const char *places[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};
	gpualloc_error error = {0};

	if (*folder)
		return &opened;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (places[i] && make_in(places[i], &error)) {
			(void)atexit(remove_all);
			return &opened;
		}
	(void)fprintf(stderr, "no file system that a store can lie on: %s\n", error.message);
	_exit(SKIPPED);
}
