/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a site's files and compares them with each other and with a machine. */
#ifndef SLURM_CHECK_H
#define SLURM_CHECK_H

#include "error.h"
#include "view.h"

struct slurm_check {
	struct slurm_site site;
	struct slurm_findings findings, notes;
	int version; /* of the Slurm that reads them; -1 if not known */
};

/*
 * Reads count files; paths must live as long as the check. GPUALLOC_EDATA if one is not a file of
 * Slurm's, otherwise as ga_file_read().
 */
int slurm_check_read(struct slurm_check *check, const char *const *paths, size_t count,
		     gpualloc_error *error);
/* Fills in findings and notes, in order. GPUALLOC_ENOMEM or 0. */
int slurm_check_all(struct slurm_check *check, const struct slurm_asked *asked,
		    struct slurm_looked *ret_looked);
void slurm_check_free(struct slurm_check *check);

#endif
