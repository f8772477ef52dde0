/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a store; see store.h. Its folders go, whatever users have put into them: files, links,
 * folders in folders to any depth.
 */
#include "store.h"

#include "ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static DIR *open_list(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;

	if (!list && fd >= 0)
		close(fd);
	return list;
}

/*
 * Moves what lies in a user's folder up to our own level, where it is treated like the rest. So no
 * depth is too deep, and no path is ever followed.
 */
static bool lift(int folder, const char *name, unsigned long *number)
{
	DIR *list = open_list(folder, name);
	const struct dirent *entry;
	bool moved = false;

	while (list && (entry = readdir(list))) {
		char above[48];

		if (is_dots(entry->d_name))
			continue;
		(void)snprintf(above, sizeof above, ".lifted-%ld-%lu", (long)getpid(), ++*number);
		moved |= renameat(dirfd(list), entry->d_name, folder, above) == 0;
	}
	if (list)
		(void)closedir(list);
	return moved;
}

static bool remove_one(int folder, const char *name, unsigned long *number)
{
	return unlinkat(folder, name, 0) == 0 || unlinkat(folder, name, AT_REMOVEDIR) == 0 ||
	       lift(folder, name, number);
}

/* Closed first, so nobody puts more into it while we empty it. */
static int remove_folder(int at, const char *name)
{
	enum { PASSES = 1 << 20 };
	DIR *list = open_list(at, name);
	unsigned long number = 0;
	bool moved = true;

	if (!list)
		return errno == ENOENT ? 0 : -1;
	(void)fchmod(dirfd(list), 0700);
	for (int pass = 0; moved && pass < PASSES; pass++) {
		const struct dirent *entry;

		moved = false;
		rewinddir(list);
		while ((entry = readdir(list)))
			if (!is_dots(entry->d_name))
				moved |= remove_one(dirfd(list), entry->d_name, &number);
	}
	(void)closedir(list);
	return unlinkat(at, name, AT_REMOVEDIR);
}

/* The ledger goes last: while it is there, what a killed removal leaves is still a store. */
static int remove_parts(const struct ga_store *store, gpualloc_error *error)
{
	int result = remove_folder(store->folder, "records");

	result |= remove_folder(store->folder, "queue");
	result |= unlinkat(store->folder, "arbiter", 0) < 0 && errno != ENOENT ? -1 : 0;
	result |= unlinkat(store->folder, "ledger", 0);
	/* A file system that was mounted for the store stays where it is, empty. */
	if (result < 0 || (rmdir(store->path) < 0 && errno != EBUSY))
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "cannot remove the store %s",
				      store->path);
	return 0;
}

/*
 * All of the ledger is locked while we remove it: a lease that came in between would hold nothing.
 * Once it is locked we look at it again: somebody else may have removed it first, and the file with
 * the name now may be in use. A claim looks at the name after taking its locks, so nobody who
 * locked the old ledger, before or after its name went, has a lease: models/removal.pml.
 */
int ga_store_remove(const char *path, gpualloc_error *error)
{
	ga_auto_store struct ga_store store = GA_STORE_CLOSED;
	ga_auto_close int ledger = -1;
	int result = ga_store_open(path, &store, error);

	if (result == 0)
		result = ga_store_open_ledger(&store, &ledger, error);
	if (result < 0)
		return result;
	result = ga_ledger_lock(ledger, ga_ledger_everything(), error);
	if (result == GPUALLOC_EBUSY)
		return ga_error_remedy(error,
				       ga_error_set(error, result, "the store %s is in use", path),
				       GPUALLOC_REMEDY_SHOW_LEASES);
	if (result == 0)
		result = ga_store_check_ledger(&store, ledger, error);
	return result < 0 ? result : remove_parts(&store, error);
}
