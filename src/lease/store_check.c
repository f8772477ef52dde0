/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a store is complete, not just trustworthy; see store.h. `gpualloc setup` repairs what is
 * reported here.
 */
#include "store.h"
#include "store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

const struct ga_store_part ga_store_parts[GA_STORE_PARTS] = {
	{"ledger", false, true},
	{"arbiter", false, false},
	{"records", true, true},
	{"queue", true, true},
};

const struct ga_store_part *ga_store_part(const char *name)
{
	size_t i = 0;

	while (i < GA_STORE_PARTS - 1 && strcmp(ga_store_parts[i].name, name) != 0)
		i++;
	return &ga_store_parts[i];
}

bool ga_store_part_is_shut(const struct ga_store_part *part, mode_t mode)
{
	return !(mode & (part->is_writable ? GA_STORE_WRITABLE : GA_STORE_READABLE));
}

static int unfinished(const struct ga_store *store, const char *what, gpualloc_error *error)
{
	return ga_error_remedy(error,
			       ga_error_set(error, GPUALLOC_EPERM,
					    "the store %s is not complete: %s", store->path, what),
			       GPUALLOC_REMEDY_SET_UP_STORE);
}

static int check_part(const struct ga_store *store, const struct ga_store_part *part, bool is_shut,
		      gpualloc_error *error)
{
	char why[160];
	struct stat status;

	if (fstatat(store->folder, part->name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		(void)snprintf(why, sizeof why, "its %s is missing", part->name);
		return unfinished(store, why, error);
	}
	if (ga_store_part_is_shut(part, status.st_mode) && !is_shut) {
		(void)snprintf(why, sizeof why,
			       "its %s is closed to everybody but its owner, and the rest is not",
			       part->name);
		return unfinished(store, why, error);
	}
	if (!ga_store_part_is_shut(part, status.st_mode) && is_shut)
		return unfinished(
			store,
			"its folder is closed to everybody but its owner, and the rest is not",
			error);
	if (!part->is_folder && !part->is_writable && (status.st_mode & GA_STORE_WRITABLE)) {
		(void)snprintf(why, sizeof why, "others may write to its %s", part->name);
		return unfinished(store, why, error);
	}
	if (!part->is_folder && status.st_size > 0) {
		(void)snprintf(
			why, sizeof why,
			"somebody has written %lld bytes into its %s; nobody reads them, and they "
			"take up room",
			(long long)status.st_size, part->name);
		return unfinished(store, why, error);
	}
	return 0;
}

int ga_store_check(const char *path, gpualloc_error *error)
{
	ga_auto_store struct ga_store store = GA_STORE_CLOSED;
	struct stat status;
	int result = ga_store_open(path, &store, error);

	if (result == 0 && fstat(store.folder, &status) < 0)
		result = ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	for (size_t i = 0; result == 0 && i < GA_STORE_PARTS; i++)
		result = check_part(&store, &ga_store_parts[i], !(status.st_mode & GA_STORE_OTHERS),
				    error);
	return result;
}
