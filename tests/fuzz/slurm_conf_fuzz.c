/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gres.conf or slurm.conf: its lines, its lists of names and of numbers, and what is said of it;
 * and the same bytes as the kernel's table of capability files.
 */
#include "fuzz.h"

#include "caps.h"
#include "names.h"
#include "numbers.h"
#include "site.h"

#include <stdlib.h>
#include <string.h>

/* A list that can be counted names as many, and has every one of them. */
static void check_names(const char *names)
{
	enum { NAMES_TRIED = 200 };
	struct names_walk walk = {.rest = names};
	char name[NAME_SIZE];
	uint64_t count, walked = 0;

	if (!names_count(names, &count)) {
		fuzz_require(!names_have(names, "n1"), "text that is not a list has no names");
		return;
	}
	fuzz_require(count > 0, "a list names something");
	while (walked < NAMES_TRIED && names_next(&walk, name)) {
		fuzz_require(strlen(name) < NAME_SIZE - 1, "a name fits");
		fuzz_require(names_have(names, name), "a list has the names that it names");
		walked++;
	}
	fuzz_require(walked <= count, "no more names than were counted");
}

static void check_numbers(const char *list)
{
	struct numbers numbers, again;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	if (!numbers_read(list, &numbers))
		return;
	fuzz_require(numbers.count > 0 && numbers_has(&numbers, numbers.highest),
		     "a list of numbers");
	fuzz_require(numbers_between(&numbers, 0, NUMBERS_MOST) == numbers.count,
		     "each is counted");
	numbers_text(&text, &numbers);
	fuzz_require(!text.failed && numbers_read(text.data, &again), "its text is a list");
	fuzz_require(memcmp(&numbers, &again, sizeof numbers) == 0, "its text is the same list");
}

static void check_conf(const struct slurm_conf *conf)
{
	for (size_t i = 0; i < conf->line_count; i++) {
		const struct slurm_line *line = &conf->lines[i];

		fuzz_require(i == 0 || line->number > conf->lines[i - 1].number,
			     "lines are in order");
		fuzz_require(line->pair_count > 0 || line->stray, "a line says something");
		fuzz_require(line->first_pair + line->pair_count <= conf->pair_count,
			     "its pairs exist");
	}
	for (size_t i = 0; i < conf->pair_count; i++) {
		fuzz_require(*conf->pairs[i].key != '\0', "a key is not empty");
		check_names(conf->pairs[i].value);
		check_numbers(conf->pairs[i].value);
	}
}

static void check_site(const struct slurm_site *site)
{
	fuzz_require(!site->failed && !site->findings->failed, "there is memory");
	fuzz_require(site->device_count <= SITE_DEVICES_MOST, "a site is believed up to a limit");
	for (size_t i = 0; i < site->gres_count; i++) {
		const struct slurm_gres *gres = &site->gres[i];

		fuzz_require(gres->name || gres->autodetect, "a line is about something");
		fuzz_require(gres->device_count == 0 || gres->minors, "its devices are there");
		fuzz_require(gres->link_count == 0 || gres->self <= gres->link_count,
			     "its own place");
	}
	for (size_t i = 0; i < site->findings->count; i++)
		for (const char *c = site->findings->list[i].sentence; *c; c++)
			fuzz_require(*c >= ' ' && *c <= '~', "a sentence can be shown");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {"gres.conf"};
	static struct slurm_findings findings, notes;
	struct slurm_site site = {.findings = &findings, .notes = &notes};
	size_t line;
	int64_t caps[2];

	findings = notes = (struct slurm_findings){.files = files};
	site.confs = calloc(1, sizeof *site.confs);
	fuzz_require(site.confs != NULL, "there is memory");
	if (slurm_conf_read(files[0], (const char *)data, size, site.confs, &line) == SLURM_READ) {
		site.conf_count = 1;
		(void)mig_caps_find(site.confs->text, 0, 1, 0, caps);
		check_conf(site.confs);
		(void)site_take(&site, 0, site.confs);
		check_site(&site);
	} else {
		fuzz_require(line > 0, "it is said where the text ends");
	}
	findings_free(&findings);
	findings_free(&notes);
	site_free(&site);
	return 0;
}
