/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a lease that we have; see lease.h. */
#include "lease.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int ga_lease_add_note(gpualloc_lease *lease, const char *text)
{
	char **notes = reallocarray(lease->notes, lease->note_count + 1, sizeof *notes);

	if (!notes)
		return GPUALLOC_ENOMEM;
	lease->notes = notes;
	notes[lease->note_count] = strdup(text);
	if (!notes[lease->note_count])
		return GPUALLOC_ENOMEM;
	lease->note_count++;
	return 0;
}

/*
 * Only unlocking ends a lease that children have inherited; the close that follows wakes waiters.
 * The id goes first. If the devices were free while the id was still held, one process from outside
 * and one inside the lease could both take them (models/nesting.pml).
 */
int ga_lease_release(gpualloc_lease *lease, gpualloc_error *error)
{
	int result;

	if (lease->owner != getpid())
		return ga_error_set(
			error, GPUALLOC_EPERM,
			"lease %s was acquired by process %lld, and only that process may release it",
			lease->id, (long long)lease->owner);
	if (lease->fd < 0)
		return 0;
	result = ga_ledger_unlock(lease->fd, ga_ledger_id(lease->number));
	if (ga_claim_drop(lease->fd, lease->pieces, lease->count) < 0)
		result = GPUALLOC_EIO;
	if (result < 0)
		return ga_error_errno(error, result, errno, "cannot release lease %s", lease->id);
	close(lease->fd);
	lease->fd = -1;
	ga_log_remove(&lease->store, lease->number);
	ga_store_nudge(&lease->store);
	return 0;
}

/* In a fork's child this closes the child's share: the lease stays the parent's. */
void ga_lease_free(gpualloc_lease *lease)
{
	struct ga_range part;

	if (!lease)
		return;
	if (lease->fd >= 0) {
		close(lease->fd);
		if (ga_ledger_is_held(lease->store.probe, ga_ledger_id(lease->number), &part) == 0)
			ga_log_remove(&lease->store, lease->number);
	}
	for (size_t i = 0; i < lease->note_count; i++)
		free(lease->notes[i]);
	free(lease->notes);
	free(lease->devices);
	ga_pieces_free(lease->pieces, lease->count);
	ga_machine_free(lease->machine);
	ga_store_close(&lease->store);
	free(lease);
}

/*
 * A high number, because shells overwrite low ones. At exit the highest is closed first, so the
 * lease ends before the driver's descriptors are closed.
 */
int ga_lease_hand_on(gpualloc_lease *lease, int *ret_fd, gpualloc_error *error)
{
	enum { HIGH = 512 };
	int fd = lease->fd, flags;

	if (fd < 0)
		return ga_error_set(error, GPUALLOC_EUSAGE, "lease %s has been released",
				    lease->id);
	if (fd < HIGH)
		fd = fcntl(lease->fd, F_DUPFD, HIGH);
	/* If the limit on descriptors is lower, as high as it allows. */
	if (fd < 0)
		fd = lease->fd;
	flags = fcntl(fd, F_GETFD);
	if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot pass lease %s on",
				      lease->id);
	if (fd != lease->fd)
		close(lease->fd);
	lease->fd = fd;
	*ret_fd = fd;
	return 0;
}
