/* SPDX-License-Identifier: Apache-2.0 */
/* Reads files and finds what is wrong with them; see check.h. */
#include "check.h"

#include "file.h"

#include <stdlib.h>

void slurm_check_free(struct slurm_check *check)
{
	site_free(&check->site);
	findings_free(&check->findings);
	findings_free(&check->notes);
}

static int read_one(struct slurm_check *check, size_t file, const char *path, gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer text = {0};
	struct slurm_site *site = &check->site;
	struct slurm_conf *conf = &site->confs[site->conf_count];
	size_t line;
	int result = ga_file_read(path, SLURM_FILE_MOST, &text, error);

	if (result < 0)
		return result;
	switch (slurm_conf_read(path, text.data, text.size, conf, &line)) {
	case SLURM_READ_MEMORY: return ga_error_memory(error);
	case SLURM_READ_NO_TEXT:
		return ga_error_set(error, GPUALLOC_EDATA,
				    "%s:%zu: the line contains a NUL byte, so this is not a text "
				    "file",
				    path, line);
	case SLURM_READ: site->conf_count++; break;
	}
	if (site_take(site, file, conf))
		return site->failed ? ga_error_memory(error) : 0;
	return site->failed ? ga_error_memory(error)
			    : ga_error_set(error, GPUALLOC_EDATA,
					   "%s is neither a gres.conf nor a slurm.conf", path);
}

int slurm_check_read(struct slurm_check *check, const char *const *paths, size_t count,
		     gpualloc_error *error)
{
	struct slurm_site *site = &check->site;
	int result = 0;

	site->by_default.sockets = site->by_default.cores_per_socket = -1;
	site->findings = &check->findings;
	site->notes = &check->notes;
	site->confs = calloc(count, sizeof *site->confs);
	check->findings.files = check->notes.files = paths;
	if (!site->confs)
		return ga_error_memory(error);
	for (size_t i = 0; i < count && result == 0; i++)
		result = read_one(check, i, paths[i], error);
	return result;
}

static void note_version(struct slurm_check *check)
{
	const struct slurm_gres *line = site_links(&check->site);

	if (line && check->version < 0)
		findings_add(&check->notes, line->file, line->line,
			     "the version of Slurm that reads this is not known (--slurm-version); "
			     "24.05 to 26.05 read Links the wrong way round for --gres=gpu:N");
}

int slurm_check_all(struct slurm_check *check, const struct slurm_asked *asked,
		    struct slurm_looked *ret_looked)
{
	check_site(&check->site, check->version, asked->machine);
	if (!check_nodes(&check->site, asked, ret_looked))
		return GPUALLOC_ENOMEM;
	note_version(check);
	findings_sort(&check->findings);
	findings_sort(&check->notes);
	return check->findings.failed || check->notes.failed ? GPUALLOC_ENOMEM : 0;
}
