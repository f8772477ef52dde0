/* SPDX-License-Identifier: Apache-2.0 */
/* Remedies in words; see remedy.h. */
#include "remedy.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

static const struct {
	enum gpualloc_remedy remedy;
	const char *words;
} remedies_known[] = {
	/* After the command, whose name depends on where it lies: add_command(). */
	{GPUALLOC_REMEDY_SET_UP_STORE, " setup` makes or repairs it for everybody"},
	{GPUALLOC_REMEDY_OWN_STORE, "--private uses a store of your own that others do not see"},
	{GPUALLOC_REMEDY_SHOW_DEVICES, "`gpualloc list` shows the devices"},
	{GPUALLOC_REMEDY_SHOW_LEASES, "`gpualloc leases` shows the leases"},
	{GPUALLOC_REMEDY_IGNORE_VISIBLE, "--ignore-env would override that"},
	{GPUALLOC_REMEDY_IGNORE_PROCESSES, "--ignore-processes would override that"},
	{GPUALLOC_REMEDY_MIX_MODELS, "--mixed allows several models"},
	{GPUALLOC_REMEDY_ASK_FOR_MIG, "--mig chooses among MIG instances"},
	{GPUALLOC_REMEDY_SAY_MEMORY, "add --memory SIZE"},
	{GPUALLOC_REMEDY_USE_NUMBERS, "--format index uses numbers"},
	{GPUALLOC_REMEDY_USE_UUIDS, "--format uuid uses UUIDs"},
	{GPUALLOC_REMEDY_MORE_TIME, "--deadline gives it more time"},
	{GPUALLOC_REMEDY_OTHER_MACHINE,
	 "to see gpualloc work without a GPU, try --machine dgx1-volta"},
	{GPUALLOC_REMEDY_LEASE_WITHIN, "as `gpualloc run` does there"},
};

/* Where sudo looks, whatever PATH its caller has. */
static bool is_found_by_sudo(const char *path)
{
	static const char *const folders[] = {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/",
					      "/usr/bin/", "/sbin/", "/bin/"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (strncmp(path, folders[i], strlen(folders[i])) == 0)
			return true;
	return false;
}

/* `sudo gpualloc, or the whole path where sudo would not find us: in a virtual environment. */
static void add_command(struct ga_buffer *text)
{
	static const char plain[] = "/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789._+-";
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);

	path[size > 0 ? size : 0] = '\0';
	ga_buffer_text(text, "`sudo ");
	/* Anything that a shell would read differently is left to the reader. */
	if (size <= 0 || path[strspn(path, plain)] != '\0' || is_found_by_sudo(path))
		ga_buffer_text(text, "gpualloc");
	else
		ga_buffer_text(text, path);
}

void remedy_add(struct ga_buffer *text, unsigned remedies, const char *separator)
{
	for (size_t i = 0; i < sizeof remedies_known / sizeof *remedies_known; i++)
		if (remedies & remedies_known[i].remedy) {
			ga_buffer_text(text, separator);
			if (remedies_known[i].remedy == GPUALLOC_REMEDY_SET_UP_STORE)
				add_command(text);
			ga_buffer_text(text, remedies_known[i].words);
		}
}

void remedy_list(struct ga_buffer *text, unsigned remedies)
{
	for (unsigned bit = 1; remedies; bit <<= 1) {
		if (!(remedies & bit))
			continue;
		remedies &= ~bit;
		remedy_add(text, bit, "");
		ga_buffer_char(text, '\0');
	}
}

void remedy_add_rejection(struct ga_buffer *text, const gpualloc_rejection *rejection)
{
	unsigned remedies = gpualloc_rejection_remedies(rejection);

	ga_buffer_text(text, gpualloc_rejection_reason(rejection));
	if (!remedies)
		return;
	remedy_add(text, remedies, " (");
	ga_buffer_char(text, ')');
}
