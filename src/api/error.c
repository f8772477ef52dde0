/* SPDX-License-Identifier: Apache-2.0 */
/* The exported face of errors, and the version. */
#include "error.h"

#include <stdlib.h>

gpualloc_error *gpualloc_error_new(void)
{
	gpualloc_error *error = malloc(sizeof *error);

	if (error) { /* not calloc(): most of the space for the message is never used */
		error->status = GPUALLOC_OK;
		error->remedies = GPUALLOC_REMEDY_NONE;
		error->message[0] = '\0';
	}
	return error;
}

void gpualloc_error_free(gpualloc_error *error)
{
	free(error);
}

int gpualloc_error_status(const gpualloc_error *error)
{
	return error ? error->status : GPUALLOC_OK;
}

const char *gpualloc_error_message(const gpualloc_error *error)
{
	return error ? error->message : "";
}

unsigned gpualloc_error_remedies(const gpualloc_error *error)
{
	return error ? error->remedies : GPUALLOC_REMEDY_NONE;
}

int gpualloc_exit_status(int status)
{
	switch (status) {
	case GPUALLOC_OK: return 0;
	case GPUALLOC_EUSAGE: return 64;
	case GPUALLOC_EDATA: return 65;
	case GPUALLOC_ENOSOURCE: return 69;
	case GPUALLOC_EBUSY: return 75;
	case GPUALLOC_EPERM: return 77;
	case GPUALLOC_EIMPOSSIBLE: return 78;
	case GPUALLOC_ETIMEOUT: return 124;
	case GPUALLOC_EIO: return 74;
	case GPUALLOC_ENOTFOUND: return 127;
	case GPUALLOC_ENOTRUNNABLE: return 126;
	default: return 71;
	}
}

const char *gpualloc_version(void)
{
	return GA_VERSION;
}

void gpualloc_free(void *memory)
{
	free(memory);
}
