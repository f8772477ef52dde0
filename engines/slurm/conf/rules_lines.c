/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about how the lines of a gres.conf go together; see rules.h. */
#include "rules.h"

#include <string.h>
#include <strings.h>

/* ---- files ---- */

/* The line that has the same file before this one, or one of this line's own devices. Instances
 * share the file of their GPU, so all their files are compared. */
static const struct slurm_gres *find_file(const struct slurm_view *view, size_t at, size_t device)
{
	const struct slurm_gres *line = view->lines[at];

	for (size_t i = 0; i <= at; i++) {
		const struct slurm_gres *other = view->lines[i];

		for (size_t k = 0; k < (i == at ? device : other->device_count); k++)
			if (other->together == line->together &&
			    other->minors[k] == line->minors[device] &&
			    (!line->together || strcmp(other->files, line->files) == 0))
				return other;
	}
	return NULL;
}

static void check_twice(const struct slurm_view *view, size_t at)
{
	const struct slurm_gres *line = view->lines[at], *other;

	for (size_t i = 0; i < line->device_count; i++) {
		other = line->minors[i] >= 0 ? find_file(view, at, i) : NULL;
		if (other)
			findings_add(view->findings, line->file, line->line,
				     "%s/dev/nvidia%lld is already in line %zu: two jobs would get "
				     "the same device",
				     line->together ? "this instance of " : "",
				     (long long)line->minors[i], other->line);
	}
}

void check_files(const struct slurm_view *view)
{
	for (size_t i = 0; i < view->line_count; i++) {
		const struct slurm_gres *line = view->lines[i];

		if (line->files)
			check_twice(view, i);
		else if (!view->detects)
			findings_add(view->findings, line->file, line->line,
				     "Name=gpu without File: slurmd removes it (\"Removing "
				     "file-less GPU\") and the node has too few; name the files, "
				     "as in File=/dev/nvidia[0-3]");
	}
}

/* ---- links ---- */

/* Whether the Links of the line at that place can be compared with others. */
static bool is_good(const struct slurm_view *view, const struct slurm_gres *line, size_t place)
{
	return line->link_count == view->device_count && line->device_count == 1 &&
	       line->self == place;
}

/* Checks a pair once, at its later line. */
static void check_symmetry(const struct slurm_view *view, const struct slurm_gres *line)
{
	size_t place = 0;

	for (size_t i = 0; place < line->self; i++) {
		const struct slurm_gres *other = view->lines[i];

		if (is_good(view, other, place) && other->link[line->self] != line->link[place])
			findings_add(view->findings, line->file, line->line,
				     "Links says %d for the device at place %zu, whose own Links "
				     "(line %zu) says %d back",
				     line->link[place], place, other->line,
				     other->link[line->self]);
		place += other->device_count;
	}
}

static void check_line_links(const struct slurm_view *view, const struct slurm_gres *line,
			     size_t place)
{
	if (line->link_count != view->device_count)
		findings_add(view->findings, line->file, line->line,
			     "Links has %zu numbers, but the lines %s%s have %zu devices: it needs "
			     "one number per device, in their order",
			     line->link_count, *view->name ? "of node " : "of this node",
			     SHOWN(view->name), view->device_count);
	else if (line->device_count > 1)
		findings_add(view->findings, line->file, line->line,
			     "one Links for %zu devices: each device needs its own line, with -1 "
			     "at its own place",
			     line->device_count);
	else if (line->self < line->link_count && line->self != place)
		findings_add(view->findings, line->file, line->line,
			     "Links has its -1 at place %zu, but the device is at place %zu of the "
			     "lines, counted from 0",
			     line->self, place);
	else if (is_good(view, line, place))
		check_symmetry(view, line);
}

/* Links without meaning: no line has anything but 0 and -1. */
static bool are_empty(const struct slurm_view *view)
{
	for (size_t i = 0; i < view->line_count; i++)
		for (size_t k = 0; k < view->lines[i]->link_count; k++)
			if (view->lines[i]->link[k] > 0)
				return false;
	return true;
}

void check_links(const struct slurm_view *view)
{
	const struct slurm_gres *first = NULL;
	bool heeded = false;
	size_t place = 0;

	for (size_t i = 0; i < view->line_count; i++) {
		const struct slurm_gres *line = view->lines[i];

		heeded = heeded || line->cores || line->type;
		if (line->link_count > 0) {
			first = first ? first : line;
			/* If Slurm looks for the devices itself, the files do not say which there
			 * will be. */
			if (!view->detects)
				check_line_links(view, line, place);
		}
		place += line->device_count;
	}
	if (first && !heeded)
		findings_add(view->findings, first->file, first->line,
			     "Links, but no line has Cores or Type: Slurm silently ignores the "
			     "links and takes the lowest numbers; give each line Cores or Type");
	if (first && view->device_count > 1 && are_empty(view))
		findings_add(view->findings, first->file, first->line,
			     "Links has only 0 and -1, which means that no two devices are linked; "
			     "count their NVLinks (`gpualloc slurm gres-conf` does) or leave it "
			     "out");
}

/* ---- cores ---- */

/* If slurm.conf turns NUMA nodes or caches into sockets, its sockets are not the machine's. */
static bool are_other_sockets(const struct slurm_view *view, const struct slurm_site *site)
{
	return site->parameters && !(view->node && view->node->sockets > 0) &&
	       (strcasestr(site->parameters, "numa_node_as_socket") ||
		strcasestr(site->parameters, "l3cache_as_socket"));
}

/* The sockets that a set of cores touches, and whether it fills each of them. */
static bool are_whole(const struct slurm_cpus *cpus, const struct numbers *cores,
		      uint64_t *ret_sockets)
{
	bool whole = true;

	*ret_sockets = 0;
	for (int64_t socket = 0; socket < cpus->sockets; socket++) {
		int64_t first = socket * cpus->cores_per_socket;
		size_t count = numbers_between(cores, first, first + cpus->cores_per_socket - 1);

		*ret_sockets |= (uint64_t)(count > 0) << socket;
		whole = whole && (count == 0 || count == (size_t)cpus->cores_per_socket);
	}
	return whole;
}

static void check_line_cores(const struct slurm_view *view, const struct slurm_gres *line)
{
	ga_auto_buffer struct ga_buffer right = GA_BUFFER_OUTPUT;
	const struct slurm_cpus *cpus = &view->cpus;
	struct numbers cores;
	uint64_t sockets;

	if (!numbers_read(line->cores, &cores)) {
		findings_add(view->findings, line->file, line->line,
			     "Cores=%s is not a list of core indices such as 0-31",
			     SHOWN(line->cores));
		return;
	}
	if (!slurm_cpus_known(cpus))
		return;
	if (cores.highest >= cpus->sockets * cpus->cores_per_socket) {
		/* These would be CPUs in Linux's numbers, so the right cores can be named. */
		sockets = slurm_cpus_sockets(cpus, line->cores);
		if (sockets)
			slurm_cpus_text(&right, cpus, sockets);
		findings_add(view->findings, line->file, line->line,
			     "Cores=%s: the node has %lld cores, 0 to %lld (\"invalid GRES core "
			     "specification\"); %s%s",
			     SHOWN(line->cores),
			     (long long)(cpus->sockets * cpus->cores_per_socket),
			     (long long)(cpus->sockets * cpus->cores_per_socket - 1),
			     right.data ? "these are CPUs as Linux numbers them, so write Cores="
					: "Slurm counts cores, not threads",
			     right.data ? right.data : "");
	} else if (!are_whole(cpus, &cores, &sockets)) {
		slurm_cpus_text(&right, cpus, sockets);
		findings_add(view->findings, line->file, line->line,
			     "Cores=%s is only part of a socket, but Slurm matches GPUs with whole "
			     "sockets; write Cores=%s",
			     SHOWN(line->cores), right.data ? right.data : "");
	}
	view->findings->failed = view->findings->failed || right.failed;
}

void check_cores(const struct slurm_view *view, const struct slurm_site *site)
{
	const struct slurm_gres *with = NULL, *without = NULL;

	for (size_t i = 0; i < view->line_count; i++) {
		const struct slurm_gres *line = view->lines[i];

		if (line->cores && !are_other_sockets(view, site))
			check_line_cores(view, line);
		if (line->cores)
			with = line;
		else if (!without)
			without = line;
	}
	if (with && without && !view->detects)
		findings_add(view->findings, without->file, without->line,
			     "this line has no Cores, but line %zu does: Slurm wants them on all "
			     "lines of a node or on none",
			     with->line);
}
