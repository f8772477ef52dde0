/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of `gpualloc usage`. Nobody of ours runs when a lease ends, so it is sampled: once a
 * minute root's timer looks who holds what, and what runs there. In a folder of root's, by default
 * /var/lib/gpualloc, lie
 *
 *   now      the last sample, the leases that it saw, and the sums of the hour that has not ended;
 *            replaced as a whole
 *   hours    the sums of hours that have ended, a line for an hour, a user and a GPU; appended to
 *   hours.1  what hours was before it had grown to SAMPLES_FILE_MOST
 *   lock     locked while a sample is taken; only root can open it, for whoever can open a file
 *            can keep it locked
 *
 * A line that is there twice counts once, the later one, and one that makes no sense is left out: a
 * crash at any moment costs no more than the hour that was being written.
 */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include "buffer.h"
#include "command.h"

#include <stdint.h>

enum { SAMPLES_FILE_MOST = 4 << 20, HOUR_SECONDS = 3600, SAMPLE_WORD = 256 };
enum { SAMPLE_DEVICES_MOST = 1 << 16 }; /* bytes, all UUIDs of a lease */
/* More than that between two samples, and nothing is known of the time between them. */
enum { SAMPLE_GAP_MS = 150 * 1000 };

/* What one user had of one GPU or instance within an hour; in milliseconds of a whole GPU. */
struct sum {
	int64_t hour; /* since 1970 */
	char *user, *group, *gpu;
	int64_t leased_ms, used_ms;
	size_t order; /* of the line; the later one counts */
};

/* The user of the sums that say how long an hour was sampled. */
#define SAMPLED_USER "-"

/* A lease that the last sample saw. */
struct seen_lease {
	char *id; /* "device UUID" if it has no record */
	char *user;
	char *devices; /* UUIDs, separated by commas */
	char *command; /* may be "" */
	int64_t since;
	int64_t active; /* when something was last seen to run on its devices, in seconds since 1970
			 */
	bool is_told;   /* that it is idle */
	bool is_due;    /* to be told; not in the file */
};

struct samples {
	bool has_sample;
	int64_t at;       /* of the last sample, in seconds since 1970 */
	int64_t at_clock; /* the same by a clock that nobody sets, in milliseconds */
	char boot[SAMPLE_WORD];
	struct sum *sums;
	size_t sum_count;
	struct seen_lease *leases;
	size_t lease_count;
	size_t bad_lines;
	bool no_memory; /* for some of them */
};

/* The folder: GPUALLOC_USAGE_DIR, or /var/lib/gpualloc. */
const char *samples_folder(void);
void samples_free(struct samples *samples);

/* All return 0, or after a message the exit status. Without a folder there are no samples. */
int samples_read(int64_t from_hour, struct samples *ret_samples);
/* Only what the last sample saw. */
int samples_read_last(struct samples *ret_samples);
/* For the next sample: only what "now" has. folder is open and belongs to us. */
int samples_read_now(int folder, struct samples *ret_samples);

/* Adds what the lines of a file say, without sums of hours before that one. */
void samples_parse(struct samples *samples, const char *text, size_t size, int64_t from_hour);

/* Adds to the sum of that hour, user and GPU. Negative if out of memory. */
int samples_add(struct samples *samples, int64_t hour, const char *user, const char *group,
		const char *gpu, int64_t leased_ms, int64_t used_ms);
/* Adds a lease, taking nothing over. Negative if out of memory. */
int samples_add_lease(struct samples *samples, const struct seen_lease *lease);

/*
 * Makes the folder if need be, opens it, and keeps other samplers out until the lock is closed.
 * Returns 0, or after a message the exit status.
 */
int samples_open(int *ret_folder, int *ret_lock);
/*
 * Appends the sums of hours before this one to "hours", then replaces "now". Lines for which there
 * is no room are left out, with a message: one user's leases stop no sample. Returns as above.
 */
int samples_write(int folder, const struct samples *samples, int64_t hour);

/* Takes a sample: `gpualloc usage --sample`. Returns the exit status. */
int sample_take(const struct call *call);

#endif
