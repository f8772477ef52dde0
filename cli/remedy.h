/* SPDX-License-Identifier: Apache-2.0 */
/* What may help, in the words of the command: the library knows neither commands nor options. */
#ifndef CLI_REMEDY_H
#define CLI_REMEDY_H

#include "buffer.h"

#include <gpualloc/gpualloc.h>

/* Adds each remedy, with separator before it: "; --mixed takes several models". */
void remedy_add(struct ga_buffer *text, unsigned remedies, const char *separator);
/* Adds each remedy, with a NUL after it. */
void remedy_list(struct ga_buffer *text, unsigned remedies);
/* Why a device was not chosen, and in brackets what may help. */
void remedy_add_rejection(struct ga_buffer *text, const gpualloc_rejection *rejection);

#endif
