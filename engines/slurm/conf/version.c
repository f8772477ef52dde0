/* SPDX-License-Identifier: Apache-2.0 */
/* The version of Slurm that reads the files; see version.h. */
#include "version.h"

#include "cleanup.h"
#include "text.h"

#include <gpualloc/gpualloc.h>
#include <string.h>

enum { ANSWER_MOST = 4096, ANSWER_MS = 3000 };

int slurm_version_read(const char *text)
{
	size_t first, second;
	int64_t year, month;

	text += strcspn(text, "0123456789");
	first = strspn(text, "0123456789");
	if (!ga_text_number(text, first, 99, &year) || text[first] != '.')
		return -1;
	text += first + 1;
	second = strspn(text, "0123456789");
	if (!ga_text_number(text, second, 12, &month) || month == 0 ||
	    !strchr(".-~+ \n", text[second]))
		return -1;
	return (int)(year * 100 + month);
}

/* Asks the node's own daemon first: it is the one that reads gres.conf. */
int slurm_version_ask(int *ret_version)
{
	static const char *const commands[][3] = {
		{"slurmd", "-V", NULL}, {"/usr/sbin/slurmd", "-V", NULL}, {"sinfo", "-V", NULL}};
	int version = -1;

	for (size_t i = 0; i < sizeof commands / sizeof *commands && version < 0; i++) {
		ga_auto_free char *answer = NULL;
		int result =
			gpualloc_program_output(commands[i], ANSWER_MS, ANSWER_MOST, &answer, NULL);

		if (result == GPUALLOC_ENOMEM)
			return result;
		if (result == 0)
			version = slurm_version_read(answer);
	}
	*ret_version = version;
	return 0;
}
