/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, as a status and a sentence; see error.h. */
#include "error.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void write_sentence(gpualloc_error *error, int status, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));
static void write_sentence(gpualloc_error *error, int status, const char *format, va_list arguments)
{
	if (!error)
		return;
	error->status = status;
	error->remedies = GPUALLOC_REMEDY_NONE;
	(void)vsnprintf(error->message, sizeof error->message, format, arguments);
	ga_text_disarm(error->message);
}

static void add_behind(gpualloc_error *error, const char *more)
{
	size_t length = strlen(error->message);

	(void)snprintf(error->message + length, sizeof error->message - length, "%s", more);
	ga_text_disarm(error->message);
}

int ga_error_set(gpualloc_error *error, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_sentence(error, status, format, arguments);
	va_end(arguments);
	return status;
}

int ga_error_remedy(gpualloc_error *error, int status, unsigned remedies)
{
	if (error)
		error->remedies |= remedies;
	return status;
}

int ga_error_prefix(gpualloc_error *error, int status, const char *format, ...)
{
	char rest[GA_ERROR_SIZE];
	unsigned remedies;
	va_list arguments;

	if (!error)
		return status;
	remedies = error->remedies;
	memcpy(rest, error->message, sizeof rest);
	va_start(arguments, format);
	write_sentence(error, status, format, arguments);
	va_end(arguments);
	add_behind(error, rest);
	error->remedies = remedies;
	return status;
}

int ga_error_memory(gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_ENOMEM, "out of memory");
}

int ga_error_errno(gpualloc_error *error, int status, int number, const char *format, ...)
{
	char reason[128];
	va_list arguments;

	if (!error)
		return status;
	va_start(arguments, format);
	write_sentence(error, status, format, arguments);
	va_end(arguments);
	add_behind(error, ": ");
	add_behind(error, strerror_r(number, reason, sizeof reason));
	return status;
}

int ga_error_missing(gpualloc_error *error, const char *what)
{
	return ga_error_set(error, GPUALLOC_EUSAGE, "%s is missing: NULL was given", what);
}
